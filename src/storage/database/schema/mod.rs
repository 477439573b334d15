//! The tables, how a user is stored in them, and the migrations that create them.

pub(crate) mod migrations;
pub(crate) mod tables;
pub(crate) mod timestamp_column;
pub(crate) mod user_row;

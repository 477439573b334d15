//! The database, whichever it is: its URL, connections to it and their pool, the keeper that sees to it that it can be used, and
//! how users lie in it.

pub(super) mod backup;
pub(super) mod batch_error;
mod check;
mod connect;
pub(super) mod connection;
pub(super) mod database_url;
pub(super) mod encoding;
mod fitness;
mod generation;
pub(super) mod hung;
pub(super) mod keeper;
mod keys;
pub(super) mod locks;
mod manager;
pub(super) mod migrations;
pub(super) mod pool;
pub(super) mod readiness;
pub(super) mod row;
pub(super) mod schema;
pub(super) mod settings;
mod sqlite_files;
pub(super) mod watchdog;
pub(super) mod workers;

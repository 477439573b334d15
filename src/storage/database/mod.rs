//! The database, SQLite or PostgreSQL: its settings, connections, pool, schema and keeper.
//!
//! - [`settings`] says where the database is and how to use it.
//! - [`connection`] is one open connection, with its transactions and lock timeouts.
//! - [`schema`] holds the tables, how a user is stored in them, and the migrations.
//! - [`workers`] runs threads that may hang in the database, and replaces them.
//! - [`pool`] shares connections, and detects those that are dead, hang, or lead to a displaced file.
//! - [`sql_text`] is for statements that are written as text.
//! - [`attribute_indexes`] lets lists be filtered by attributes.
//! - [`user_count`] says how many users there are.
//! - [`keeper`] connects, migrates, and checks every second what requests need.

pub(super) mod attribute_indexes;
pub(super) mod backup;
pub(super) mod connection;
pub(super) mod keeper;
pub(super) mod pool;
pub(super) mod schema;
pub(super) mod settings;
pub(super) mod sql_text;
pub(super) mod unstorable_text;
pub(super) mod user_count;
pub(super) mod workers;

//! Reads: look-ups of one user, and page queries.

mod get_cached;
mod get_on_postgres;
mod get_on_sqlite;
mod get_users;
pub(super) mod list_users;
pub(super) mod lookup;
mod tail_statement;

//! Reads: look-ups of one user, and page queries.

pub(super) mod get_users;
mod list_users;

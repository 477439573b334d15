//! What is read: look-ups and pages.

pub(super) mod get_users;
mod list_users;

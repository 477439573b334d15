//! Version 1 of the API: small, and it never changes.

mod create_user;
mod delete_user;
mod error_responses;
mod get_user;
mod list_users;
mod update_user;
mod user;

pub(crate) use create_user::*;
pub(crate) use delete_user::*;
pub(crate) use get_user::*;
pub(crate) use list_users::*;
pub(crate) use update_user::*;

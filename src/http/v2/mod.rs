//! Version 2 of the API: entity tags, keyset pages, filters, merge patches, batches, problem details, the export, and the
//! live stream.

mod as_of;
mod batch_caller;
mod batch_get_users;
mod batch_write_users;
mod caller;
mod create_user;
mod delete_import;
mod delete_user;
mod error_responses;
mod etag;
mod export_body;
mod export_users;
mod get_import;
mod get_user;
mod held_body;
mod import;
mod import_users;
mod list_users;
mod patch_user;
mod sse;
mod stream_events;
mod update_user;
mod user;

pub(crate) use batch_get_users::*;
pub(crate) use batch_write_users::*;
pub(crate) use create_user::*;
pub(crate) use delete_import::*;
pub(crate) use delete_user::*;
pub(crate) use export_users::*;
pub(crate) use get_import::*;
pub(crate) use get_user::*;
pub(crate) use import_users::*;
pub(crate) use list_users::*;
pub(crate) use patch_user::*;
pub(crate) use stream_events::*;
pub(crate) use update_user::*;

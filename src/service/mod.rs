//! The use cases, one file each. A use case takes plain values, parses them with the domain's types (reporting all
//! errors at once), and calls `Storage`. No version of the API and no protocol has its own use case: they differ in
//! what goes in and comes out.

mod batch_get_users;
mod batch_write_users;
mod create_user;
mod delete_user;
mod expected;
mod export_users;
mod exports;
mod freshness;
mod get_user;
mod import_users;
mod imports;
mod list_users;
mod prune_imports;
mod prune_keys;
mod update_user;

pub use batch_get_users::{batch_get_users, batch_get_users_by_email};
pub use batch_write_users::{AtomicError, OperationOutcome, Target, batch_write_users, batch_write_users_atomically};
pub use create_user::create_user;
pub use delete_user::delete_user;
pub use export_users::{ExportPage, Rest, export_users};
pub use exports::{ExportPermit, Exports};
pub use get_user::get_user;
pub use import_users::{Import, ImportError, ImportSettings, begin_import, delete_import, get_import};
pub use imports::{ImportPermit, Imports};
pub use list_users::{UserList, list_users, list_users_by_offset};
pub use prune_imports::prune_imports;
pub use prune_keys::prune_keys;
pub use update_user::update_user;

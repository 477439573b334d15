//! The domain: what a user is, what may go wrong, and one file per use case.
//!
//! The types here are parsed, not validated: an [`Email`] that exists is a valid one. Types and errors know no HTTP and
//! no database; the use cases call [`crate::storage`] and nothing else.

mod characters;
mod create_user;
mod delete_user;
mod email;
mod email_key;
mod error;
mod event;
mod expected;
mod fold;
mod get_user;
mod get_users;
mod id;
mod list_users;
mod name;
mod page;
mod page_token;
mod timestamp;
mod update_user;
mod user;

pub use create_user::create_user;
pub use delete_user::delete_user;
pub use email::Email;
pub use email_key::EmailKey;
pub use error::{Error, FieldError};
pub use event::{Change, Event, Position};
pub use fold::Folded;
pub use get_user::get_user;
pub use get_users::get_users;
pub use id::{InvalidUserId, UserId};
pub use list_users::{UserList, list_users, list_users_by_offset};
pub use name::UserName;
pub use page::{Filter, NamePrefix, Page, PageQuery, PageSize, Start};
pub use page_token::PageToken;
pub use timestamp::Timestamp;
pub use update_user::update_user;
pub use user::{Changes, Expected, NewUser, User, Version};

//! The domain: what a user is, what may go wrong, and one file per use case.
//!
//! The types here are parsed, not validated: an [`Email`] that exists is a valid one. Types and errors know no HTTP and
//! no database; the use cases call [`crate::storage`] and nothing else.

mod characters;
mod email;
mod email_key;
mod error;
mod event;
mod fold;
mod id;
mod name;
mod page;
mod page_token;
mod timestamp;
mod user;

pub use email::Email;
pub use email_key::EmailKey;
pub use error::{Error, FieldError};
pub use event::{Change, Event, Position};
pub use fold::Folded;
pub use id::{InvalidUserId, UserId};
pub use name::UserName;
pub use page::{Filter, NamePrefix, Page, PageQuery, PageSize, Start};
pub use page_token::PageToken;
pub use timestamp::Timestamp;
pub use user::{Changes, Expected, NewUser, User, Version};

//! The domain: types that parse, errors, events and pages. It imports nothing of this crate.
//!
//! The types are parsed, not validated: an `Email`, `UserName` or `UserId` that exists is valid, and is not checked
//! again. Nothing here names actix, Diesel or HTTP. Case is folded here and never by a database, because databases
//! disagree.

mod as_of;
mod assignment;
mod attribute_filter;
mod attributes;
mod attributes_schema;
mod characters;
mod email;
mod email_key;
mod error;
mod event;
mod external_id;
mod field_mask;
mod fold;
mod freshness;
mod id;
mod idempotency;
mod import;
mod json_node;
mod json_number;
mod name;
mod operation;
mod order;
mod page;
mod page_token;
mod profile;
mod status;
mod timestamp;
mod user;
mod written;

pub use as_of::AsOf;
pub use assignment::Assignment;
pub use attribute_filter::{AttributeFilter, AttributeName, InvalidAttributeFilter};
pub use attributes::{Attributes, AttributesPatch};
pub use attributes_schema::{AttributesSchema, InvalidSchema};
pub use email::Email;
pub use email_key::EmailKey;
pub use error::{Error, FieldError, Violation};
pub use event::{Change, Event, Position};
pub use external_id::ExternalId;
pub use field_mask::FieldMask;
pub use fold::Folded;
pub use freshness::{Freshness, InvalidPosition};
pub use id::{InvalidUserId, UserId};
pub use idempotency::{Fingerprint, IdempotencyKey, InvalidIdempotencyKey, Once, OnceEach};
pub use import::{
    ImportCounts, ImportFailure, ImportId, ImportOptions, ImportProgress, InvalidImportId, OnConflict, RecordsHash,
};
pub use name::UserName;
pub use operation::{MAX_BATCH, Operation, RawOperation};
pub use order::{Order, OrderBy};
pub use page::{Filter, Last, NamePrefix, Page, PageFilter, PageQuery, PageSize, Start};
pub use page_token::PageToken;
pub use profile::{Profile, ProfileChange, RawProfile};
pub use status::Status;
pub use timestamp::Timestamp;
pub use user::{Changes, Expected, NewUser, User, Version};
pub use written::Written;

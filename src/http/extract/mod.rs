//! Extractors: what handlers read of a request, parsed and checked.

mod accept;
mod batch_json;
mod body;
mod fields;
mod freshness;
mod idempotency;
mod import_id;
mod last_event_id;
mod object;
mod query;
mod user_id;
mod user_json;

pub(crate) use accept::{accepts_gzip, preferred_type};
pub(crate) use batch_json::{BatchGetBody, BatchWriteBody};
pub(crate) use body::Body;
pub use body::BodyLimits;
#[cfg(feature = "fuzzing")]
pub(crate) use body::Format;
pub(crate) use body::{LargeBody, has_media_type, is_encoded};
pub(crate) use fields::{Fields, fields};
pub(crate) use freshness::{AT_LEAST_POSITION, EVENTS_POSITION, by_cache_control, freshness};
pub(crate) use idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, Idempotency, with_replay};
pub(crate) use import_id::PathImportId;
pub(crate) use last_event_id::{LAST_EVENT_ID, LastEventId, RESUME_AFTER};
pub(crate) use query::{Query, parse_text};
pub(crate) use user_id::PathUserId;
pub(crate) use user_json::{NameAndEmail, StatusName, UserBody, UserPatch};

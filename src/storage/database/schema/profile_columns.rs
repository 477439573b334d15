//! How a profile is stored: in three columns, of `users`, `events` and `idempotency_keys` alike.

use std::sync::Arc;

use crate::domain::{Attributes, ExternalId, Profile, Status};

/// The values of the columns `external_id`, `status` and `attributes`.
pub(crate) type ProfileColumns = (Option<String>, Option<i16>, Option<String>);

/// The profile that is stored so.
pub(crate) fn profile((external_id, status, attributes): ProfileColumns) -> Option<Arc<Profile>> {
    if external_id.is_none() && status.is_none() && attributes.is_none() {
        return None;
    }
    let attributes = attributes.and_then(Attributes::stored);
    let profile =
        Profile { external_id: external_id.map(ExternalId::stored), status: Status::stored(status), attributes };
    profile.shared()
}

/// The same, borrowed from a profile.
pub(crate) type ProfileTexts<'a> = (Option<&'a str>, Option<i16>, Option<&'a str>);

/// What the columns store of a profile.
pub(crate) fn columns(profile: Option<&Profile>) -> ProfileTexts<'_> {
    let Some(Profile { external_id, status, attributes }) = profile else { return (None, None, None) };
    (external_id.as_ref().map(ExternalId::as_str), status.code(), attributes.as_ref().map(Attributes::as_str))
}

//! The fields of a user that a request sets.

use super::failure::Failure;
use super::generated::users::{CreateUserRequest, UpdateUserRequest, UserStatus};
use super::update_mask::UpdateMask;
use crate::domain::{Assignment, RawProfile, Status};

/// The name, the email and the other fields of a create.
pub(super) fn of_create(request: CreateUserRequest) -> Result<(String, String, RawProfile), Failure> {
    let status = status("status", request.status)?;
    let CreateUserRequest { name, email, external_id, attributes, .. } = request;
    let profile = RawProfile {
        external_id: external_id.map_or(Assignment::Keep, Assignment::Set),
        status: status.map(|status| status.as_str().to_owned()),
        attributes: set_or(Assignment::Keep, attributes),
        merges: false,
        ..RawProfile::default()
    };
    Ok((name, email, profile))
}

/// The name, the email and the other fields of an update, as far as its mask names them.
pub(super) fn of_update(request: UpdateUserRequest) -> Result<(Option<String>, Option<String>, RawProfile), Failure> {
    let mask = UpdateMask::of(&request)?;
    let status = status("status", request.status)?.unwrap_or_default();
    let UpdateUserRequest { name, email, external_id, attributes, attributes_patch, .. } = request;
    let external_id = external_id.map_or(Assignment::Remove, Assignment::Set);
    let attributes = match (mask.attributes, mask.attributes_patch) {
        (true, true) => {
            let detail = "takes attributes or attributes_patch, and not both";
            return Err(Failure::InvalidField { field: "update_mask".into(), detail });
        }
        (true, false) => set_or(Assignment::Remove, attributes),
        (false, true) => set_or(Assignment::Keep, attributes_patch),
        (false, false) => Assignment::Keep,
    };
    let profile = RawProfile {
        external_id: if mask.external_id { external_id } else { Assignment::Keep },
        status: mask.status.then(|| status.as_str().to_owned()),
        attributes,
        merges: mask.attributes_patch,
        ..RawProfile::default()
    };
    Ok((mask.name.then_some(name), mask.email.then_some(email), profile))
}

/// The status in the field of this name, if it is said.
pub(super) fn status(field: &'static str, status: i32) -> Result<Option<Status>, Failure> {
    match UserStatus::try_from(status) {
        Ok(UserStatus::Unspecified) => Ok(None),
        Ok(UserStatus::Active) => Ok(Some(Status::Active)),
        Ok(UserStatus::Disabled) => Ok(Some(Status::Disabled)),
        Err(_) => Err(Failure::InvalidField { field: field.into(), detail: Status::EXPECTED }),
    }
}

fn set_or(empty: Assignment<String>, text: String) -> Assignment<String> {
    if text.is_empty() { empty } else { Assignment::Set(text) }
}

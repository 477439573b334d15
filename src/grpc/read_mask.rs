//! The fields of users that a call returns.

use prost_types::FieldMask as Paths;

use super::failure::Failure;
use super::generated::users::User;
use crate::domain::{self, FieldMask};

/// The mask of a request. `None` is all fields.
pub(super) fn read_mask(paths: Option<&Paths>) -> Result<Option<ReadMask>, Failure> {
    let paths = paths.map_or(&[][..], |paths| &paths.paths);
    if paths.is_empty() || paths.iter().any(|path| path == "*") {
        return Ok(None);
    }
    let shows_etag = paths.iter().any(|path| path == "etag");
    let paths = paths.iter().map(String::as_str).filter(|path| *path != "etag");
    let fields = FieldMask::parse(paths);
    let fields = fields.map_err(|detail| Failure::InvalidField { field: "read_mask".into(), detail })?;
    Ok(Some(ReadMask { fields, shows_etag }))
}

pub(super) struct ReadMask {
    fields: FieldMask,
    /// Only messages have this field: in REST it is a header.
    shows_etag: bool,
}

/// A user, with the fields that were asked for.
pub(super) fn shown(user: domain::User, mask: Option<&ReadMask>) -> User {
    let Some(ReadMask { fields, shows_etag }) = mask else { return user.into() };
    let attributes = user.attributes().and_then(|attributes| fields.attributes(attributes));
    let mut user = User::from(user);
    user.attributes = attributes.map_or_else(String::new, |attributes| attributes.as_str().to_owned());
    clear_unless(fields.id, &mut user.id);
    clear_unless(fields.name, &mut user.name);
    clear_unless(fields.email, &mut user.email);
    clear_unless(fields.version, &mut user.version);
    clear_unless(fields.created_at, &mut user.created_at);
    clear_unless(fields.updated_at, &mut user.updated_at);
    clear_unless(fields.external_id, &mut user.external_id);
    clear_unless(fields.status, &mut user.status);
    clear_unless(*shows_etag, &mut user.etag);
    user
}

fn clear_unless<T: Default>(is_shown: bool, field: &mut T) {
    if !is_shown {
        *field = T::default();
    }
}

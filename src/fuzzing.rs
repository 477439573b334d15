//! What the fuzz targets in `fuzz/` use of private modules. Compiled only with the feature `fuzzing`.

use crate::domain::{Changes, Error, FieldError, NewUser};
use crate::http::{Format as _, UserBody, UserPatch};

/// Parses the body of a create.
///
/// # Errors
/// The invalid fields; none if the body is not JSON, or has a field twice.
pub fn new_user(bytes: &[u8]) -> Result<NewUser, Vec<FieldError>> {
    let body = UserBody::parse(bytes).map_err(|failure| failure.fields().to_vec())?;
    let (name, email, profile) = body.into_parts();
    NewUser::parse(name, email, profile).map_err(|error| match error {
        Error::Invalid(fields) => fields,
        _ => Vec::new(),
    })
}

/// Parses a merge patch.
///
/// # Errors
/// As [`new_user`].
pub fn changes(bytes: &[u8]) -> Result<Changes, Vec<FieldError>> {
    let patch = UserPatch::parse(bytes).map_err(|failure| failure.fields().to_vec())?;
    let (name, email, profile) = patch.into_parts();
    Changes::parse(name, email, profile)
}

//! What the fuzz targets in `fuzz/` reach of the parts that are private. It exists under `--cfg fuzzing` only.

use crate::domain::{Changes, FieldError, NewUser};
use crate::http::{UserBody, UserPatch, parse_body};

/// Reads the body of a create.
///
/// # Errors
/// The fields that are wrong; none when it is not JSON, or has a field twice.
pub fn new_user(bytes: &[u8]) -> Result<NewUser, Vec<FieldError>> {
    let UserBody { name, email } = parse_body(bytes).map_err(|failure| failure.fields().to_vec())?;
    NewUser::parse(name, email)
}

/// Reads a merge patch.
///
/// # Errors
/// Those of [`new_user`].
pub fn changes(bytes: &[u8]) -> Result<Changes, Vec<FieldError>> {
    let UserPatch { name, email } = parse_body(bytes).map_err(|failure| failure.fields().to_vec())?;
    Changes::parse(name, email)
}

use super::{Error, Expected, User, UserId};
use crate::storage::Storage;

/// Deletes a user, and returns its last state.
///
/// # Errors
/// [`Error::NotFound`], [`Error::VersionMismatch`], or the storage's own errors.
pub async fn delete_user(storage: &Storage, id: UserId, expected: Expected) -> Result<User, Error> {
    let versions = match expected {
        Expected::AnyVersion => return storage.delete_user(id, None).await,
        Expected::OneOf(versions) => versions,
    };
    super::expected::first_that_matches(storage, id, versions, |version| storage.delete_user(id, Some(version))).await
}

use super::{Changes, Error, Expected, User, UserId};
use crate::storage::Storage;

/// Updates the fields of a user that are given, and raises its version by one, even if they held the same before.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong, [`Error::NotFound`], [`Error::VersionMismatch`],
/// [`Error::EmailTaken`], or the storage's own errors.
pub async fn update_user(
    storage: &Storage,
    id: UserId,
    expected: Expected,
    name: Option<String>,
    email: Option<String>,
) -> Result<User, Error> {
    let changes = Changes::parse(name, email)?;
    let versions = match expected {
        Expected::AnyVersion => return storage.update_user(id, None, changes).await,
        Expected::OneOf(versions) => versions,
    };
    super::expected::first_that_matches(storage, id, versions, |version| {
        storage.update_user(id, Some(version), changes.clone())
    })
    .await
}

//! The use case of deleting a user.

use super::expected::first_that_matches;
use crate::domain::{AsOf, Error, Expected, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Deletes a user, and returns its last state.
///
/// # Errors
/// [`Error::NotFound`], [`Error::VersionMismatch`], or the storage's errors.
pub async fn delete_user(storage: &Storage, id: UserId, expected: Expected) -> Result<AsOf<User>, Error> {
    let delete = async {
        match expected {
            Expected::AnyVersion => storage.delete_user(id, None).await,
            Expected::OneOf(versions) => {
                first_that_matches(storage, id, versions, |version| storage.delete_user(id, Some(version))).await
            }
        }
    };
    use_case("delete_user", delete).await
}

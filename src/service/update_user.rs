//! The use case of updating a user.

use super::expected::first_that_matches;
use crate::domain::{AsOf, Changes, Error, Expected, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Updates the given fields of a user, and increments its version even if they have not changed.
///
/// # Errors
/// [`Error::Invalid`] with every invalid field, [`Error::NotFound`], [`Error::VersionMismatch`], [`Error::EmailTaken`],
/// or the storage's errors.
pub async fn update_user(
    storage: &Storage,
    id: UserId,
    expected: Expected,
    name: Option<String>,
    email: Option<String>,
) -> Result<AsOf<User>, Error> {
    let update = async {
        let changes = Changes::parse(name, email)?;
        match expected {
            Expected::AnyVersion => storage.update_user(id, None, changes).await,
            Expected::OneOf(versions) => {
                let update = |version| storage.update_user(id, Some(version), changes.clone());
                first_that_matches(storage, id, versions, update).await
            }
        }
    };
    use_case("update_user", update).await
}

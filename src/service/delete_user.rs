//! The use case of deleting a user.

use super::expected::{add_expected, first_that_matches};
use crate::domain::{Error, Expected, IdempotencyKey, UserId, Written};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Deletes a user: once, if there is a key.
///
/// # Errors
/// [`Error::NotFound`], [`Error::VersionMismatch`], [`Error::KeyReused`], or the storage's errors.
pub async fn delete_user(
    storage: &Storage,
    id: UserId,
    expected: Expected,
    key: Option<IdempotencyKey>,
) -> Result<Written<()>, Error> {
    let delete = async {
        let once = key.map(|key| key.once(|asked| add_expected(asked.number(id.get()), &expected)));
        match expected {
            Expected::AnyVersion => storage.delete_user(id, None, once).await,
            Expected::OneOf(versions) => {
                let delete = |version| storage.delete_user(id, Some(version), once.clone());
                first_that_matches(storage, id, versions, delete).await
            }
        }
    };
    use_case("delete_user", delete).await
}

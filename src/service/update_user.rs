//! The use case of updating a user.

use super::expected::{add_expected, first_that_matches};
use crate::domain::{Changes, Error, Expected, IdempotencyKey, RawProfile, User, UserId, Written};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Updates the given fields of a user, and increments its version even if they have not changed: once, if there is a key.
///
/// # Errors
/// [`Error::Invalid`] with every invalid field, [`Error::InvalidAttributes`], [`Error::NotFound`], [`Error::VersionMismatch`], [`Error::EmailTaken`],
/// [`Error::ExternalIdTaken`], [`Error::KeyReused`], or the storage's errors.
pub async fn update_user(
    storage: &Storage,
    id: UserId,
    expected: Expected,
    name: Option<String>,
    email: Option<String>,
    profile: RawProfile,
    key: Option<IdempotencyKey>,
) -> Result<Written<User>, Error> {
    let update = async {
        let changes = Changes::parse(name, email, profile.held_to(storage.attributes_schema().as_ref()))?;
        let once = key.map(|key| key.once(|asked| add_expected(changes.add_to(asked.number(id.get())), &expected)));
        match expected {
            Expected::AnyVersion => storage.update_user(id, None, changes, once).await,
            Expected::OneOf(versions) => {
                let update = |version| storage.update_user(id, Some(version), changes.clone(), once.clone());
                first_that_matches(storage, id, versions, update).await
            }
        }
    };
    use_case("update_user", update).await
}

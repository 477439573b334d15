//! The use case of creating a user.

use crate::domain::{Error, IdempotencyKey, NewUser, RawProfile, User, Written};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Creates a user: once, if there is a key.
///
/// # Errors
/// [`Error::Invalid`] with every invalid field, [`Error::InvalidAttributes`], [`Error::EmailTaken`], [`Error::ExternalIdTaken`],
/// [`Error::KeyReused`], or the storage's errors.
pub async fn create_user(
    storage: &Storage,
    name: String,
    email: String,
    profile: RawProfile,
    key: Option<IdempotencyKey>,
) -> Result<Written<User>, Error> {
    let create = async {
        let new = NewUser::parse(name, email, profile.held_to(storage.attributes_schema().as_ref()))?;
        let once = key.map(|key| key.once(|asked| new.add_to(asked)));
        storage.create_user(new, once).await
    };
    use_case("create_user", create).await
}

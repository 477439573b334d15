//! The use case of creating a user.

use crate::domain::{AsOf, Error, NewUser, User};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Creates a user.
///
/// # Errors
/// [`Error::Invalid`] with every invalid field, [`Error::EmailTaken`], or the storage's errors.
pub async fn create_user(storage: &Storage, name: String, email: String) -> Result<AsOf<User>, Error> {
    use_case("create_user", async { storage.create_user(NewUser::parse(name, email)?).await }).await
}

//! The use case of getting a user.

use crate::domain::{Error, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Gets one user.
///
/// # Errors
/// [`Error::NotFound`], or the storage's errors.
pub async fn get_user(storage: &Storage, id: UserId) -> Result<User, Error> {
    use_case("get_user", async { storage.get_user(id).await?.ok_or(Error::NotFound) }).await
}

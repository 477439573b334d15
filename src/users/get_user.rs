use super::{Error, User, UserId};
use crate::storage::Storage;

/// Gets one user.
///
/// # Errors
/// [`Error::NotFound`], or the storage's own errors.
pub async fn get_user(storage: &Storage, id: UserId) -> Result<User, Error> {
    storage.get_user(id).await?.ok_or(Error::NotFound)
}

//! The use case of getting a user.

use super::freshness::check;
use crate::domain::{AsOf, Error, Freshness, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Gets one user, if there is one.
///
/// # Errors
/// [`Error::PositionUnknown`] if the log does not reach as far as the answer is to, or the storage's
/// errors.
pub async fn get_user(storage: &Storage, id: UserId, freshness: &Freshness) -> Result<AsOf<Option<User>>, Error> {
    let get = async {
        let found = storage.get_user(id, freshness).await?;
        check(storage, &found, freshness).await?;
        Ok(found)
    };
    use_case("get_user", get).await
}

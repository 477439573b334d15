//! The use cases of getting many users at once.

use super::freshness::check;
use crate::domain::{AsOf, EmailKey, Error, Freshness, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Gets the users with these ids, in this order. `caller` identifies the caller, whose batches take turns.
///
/// Each look-up is a separate message, which shares batches with those of other callers.
///
/// # Errors
/// [`Error::PositionUnknown`] if the log does not reach as far as the answer is to, or the storage's errors.
pub async fn batch_get_users(
    storage: &Storage,
    ids: Vec<UserId>,
    freshness: &Freshness,
    caller: &[u8; 32],
) -> Result<AsOf<Vec<Option<User>>>, Error> {
    let get = async {
        let users = storage.get_users(ids, freshness, caller).await?;
        check(storage, &users, freshness).await?;
        Ok(users)
    };
    use_case("batch_get_users", get).await
}

/// Gets the users with these addresses, in this order.
///
/// # Errors
/// As [`batch_get_users`].
pub async fn batch_get_users_by_email(
    storage: &Storage,
    emails: Vec<EmailKey>,
    freshness: &Freshness,
    caller: &[u8; 32],
) -> Result<AsOf<Vec<Option<User>>>, Error> {
    let get = async {
        let users = storage.get_users_by_email(emails, freshness, caller).await?;
        check(storage, &users, freshness).await?;
        Ok(users)
    };
    use_case("batch_get_users_by_email", get).await
}

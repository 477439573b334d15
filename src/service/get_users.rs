//! The use case of getting several users.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::freshness::check;
use crate::domain::{AsOf, Error, Freshness, Position, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// How many look-ups wait at once. If all were in the mailbox, a few callers would leave no room for others.
const AT_ONCE: usize = 10;

/// Gets several users, in the order of these ids. Missing users are left out.
///
/// Each look-up is a separate message, which shares batches with those of other callers.
///
/// # Errors
/// [`Error::PositionUnknown`] if the log does not reach as far as the answer is to, or the storage's errors.
pub async fn get_users(storage: &Storage, ids: Vec<UserId>, freshness: &Freshness) -> Result<AsOf<Vec<User>>, Error> {
    let get = async {
        let lookups = stream::iter(ids.into_iter().map(|id| storage.get_user(id, freshness))).buffered(AT_ONCE);
        let users = lookups.try_fold(AsOf::latest(Vec::new(), Position::default()), async |users, user| {
            Ok(users.and(user, |mut users, user| {
                users.extend(user);
                users
            }))
        });
        let users = users.await?;
        check(storage, &users, freshness).await?;
        Ok(users)
    };
    use_case("get_users", get).await
}

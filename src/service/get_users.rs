//! The use case of getting several users.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::domain::{Error, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// How many look-ups wait at once. If all were in the mailbox, a few callers would leave no room for others.
const AT_ONCE: usize = 10;

/// Gets several users, in the order of these ids. Missing users are left out.
///
/// Each look-up is a separate message, which shares batches with those of other callers.
///
/// # Errors
/// The storage's errors.
pub async fn get_users(storage: &Storage, ids: Vec<UserId>) -> Result<Vec<User>, Error> {
    let lookups = stream::iter(ids.into_iter().map(|id| storage.get_user(id))).buffered(AT_ONCE);
    use_case("get_users", lookups.try_filter_map(async |user| Ok(user)).try_collect()).await
}

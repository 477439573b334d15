use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::domain::{Error, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// How many look-ups wait at once: with all of them in the mailbox, a few callers would leave no room for others.
const AT_ONCE: usize = 10;

/// Gets several users, in the order of these ids. Those that do not exist are left out.
///
/// Each is a look-up of its own, so that they share batches with all others.
///
/// # Errors
/// The storage's own errors.
pub async fn get_users(storage: &Storage, ids: Vec<UserId>) -> Result<Vec<User>, Error> {
    let lookups = stream::iter(ids.into_iter().map(|id| storage.get_user(id))).buffered(AT_ONCE);
    use_case("get_users", lookups.try_filter_map(async |user| Ok(user)).try_collect()).await
}

use futures_util::future::try_join_all;

use super::{Error, User, UserId};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// Gets several users, in the order of these ids. Those that do not exist are left out.
///
/// Each is a look-up of its own, so that they share batches with all others.
///
/// # Errors
/// The storage's own errors.
pub async fn get_users(storage: &Storage, ids: &[UserId]) -> Result<Vec<User>, Error> {
    let users = async { try_join_all(ids.iter().map(|&id| storage.get_user(id))).await };
    Ok(use_case("get_users", users).await?.into_iter().flatten().collect())
}

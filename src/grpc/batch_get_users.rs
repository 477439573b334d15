use super::failure::Failure;
use super::generated::users::{BatchGetUsersRequest, BatchGetUsersResponse, User};
use super::user::user_id;
use crate::service;
use crate::storage::Storage;

/// As many as a page of a list may hold.
const MAX_IDS: usize = 100;

pub(super) async fn batch_get_users(
    storage: &Storage,
    request: BatchGetUsersRequest,
) -> Result<BatchGetUsersResponse, Failure> {
    if request.ids.len() > MAX_IDS {
        return Err(Failure::InvalidField { field: "ids", detail: "must be at most 100" });
    }
    let ids = request.ids.into_iter().map(|id| user_id("ids", id)).collect::<Result<Vec<_>, _>>()?;
    let users = service::get_users(storage, ids).await?;
    Ok(BatchGetUsersResponse { users: users.into_iter().map(User::from).collect() })
}

use super::etag;
use super::failure::Failure;
use super::generated::users::{DeleteUserRequest, DeleteUserResponse};
use super::user::user_id;
use crate::service;
use crate::storage::Storage;

pub(super) async fn delete_user(storage: &Storage, request: DeleteUserRequest) -> Result<DeleteUserResponse, Failure> {
    let id = user_id("id", request.id)?;
    service::delete_user(storage, id, etag::expected(&request.etag)?).await?;
    Ok(DeleteUserResponse {})
}

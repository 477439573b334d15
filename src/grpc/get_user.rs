use super::failure::Failure;
use super::generated::users::{GetUserRequest, GetUserResponse};
use super::user::user_id;
use crate::service;
use crate::storage::Storage;

pub(super) async fn get_user(storage: &Storage, request: GetUserRequest) -> Result<GetUserResponse, Failure> {
    let user = service::get_user(storage, user_id("id", request.id)?).await?;
    Ok(GetUserResponse { user: Some(user.into()) })
}

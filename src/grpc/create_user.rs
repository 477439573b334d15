use super::failure::Failure;
use super::generated::users::{CreateUserRequest, CreateUserResponse};
use crate::service;
use crate::storage::Storage;

pub(super) async fn create_user(storage: &Storage, request: CreateUserRequest) -> Result<CreateUserResponse, Failure> {
    let CreateUserRequest { name, email } = request;
    let user = service::create_user(storage, name, email).await?;
    Ok(CreateUserResponse { user: Some(user.into()) })
}

use super::failure::Failure;
use super::generated::users::{CreateUserRequest, CreateUserResponse};
use crate::storage::Storage;
use crate::users;

pub(super) async fn create_user(storage: &Storage, request: CreateUserRequest) -> Result<CreateUserResponse, Failure> {
    let CreateUserRequest { name, email } = request;
    let user = users::create_user(storage, name, email).await?;
    Ok(CreateUserResponse { user: Some(user.into()) })
}

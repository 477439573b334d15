//! The methods of `users.v1.UserService`, in the order of the proto. Who may call them is in
//! [`endpoint`](super::endpoint).

use tonic::{Request, Response, Status};

use super::caller::Admitted;
use super::convert::{filter, page_size, user_id};
use super::etag;
use super::failure::Failure;
use super::freshness::{found_or_not, freshness, response};
use super::generated::users::user_service_server::UserService;
use super::generated::users::{
    BatchGetUsersRequest, BatchGetUsersResponse, CreateUserRequest, CreateUserResponse, DeleteUserRequest,
    DeleteUserResponse, GetUserRequest, GetUserResponse, ListUsersRequest, ListUsersResponse, UpdateUserRequest,
    UpdateUserResponse, User, WatchUsersRequest,
};
use super::idempotency::{idempotency_key, written};
use super::update_mask::UpdateMask;
use super::watch_users::{Messages, watch_users};
use crate::auth::Refused;
use crate::events::Feed;
use crate::net::Draining;
use crate::service;
use crate::storage::Storage;

/// The maximum number of ids in one `BatchGetUsers` call: that of users on a page.
const MAX_IDS: usize = 100;

/// Implements `users.v1.UserService`.
#[derive(Clone)]
pub struct Users {
    pub storage: Storage,
    pub feed: Feed,
    pub draining: Draining,
}

#[tonic::async_trait]
impl UserService for Users {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let freshness = freshness(request.metadata())?;
        let GetUserRequest { id } = request.into_inner();
        let found = service::get_user(&self.storage, user_id("id", id)?, &freshness).await?;
        found_or_not(found, |user| GetUserResponse { user: Some(user.into()) })
    }

    async fn batch_get_users(
        &self,
        request: Request<BatchGetUsersRequest>,
    ) -> Result<Response<BatchGetUsersResponse>, Status> {
        let freshness = freshness(request.metadata())?;
        let BatchGetUsersRequest { ids } = request.into_inner();
        if ids.len() > MAX_IDS {
            return Err(Failure::InvalidField { field: "ids", detail: "must be at most 100" }.into());
        }
        let ids = ids.into_iter().map(|id| user_id("ids", id)).collect::<Result<Vec<_>, _>>()?;
        let users = service::get_users(&self.storage, ids, &freshness).await?;
        Ok(response(users.map(|users| BatchGetUsersResponse { users: users.into_iter().map(User::from).collect() })))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let freshness = freshness(request.metadata())?;
        let ListUsersRequest { page_size: size, page_token, email, name_prefix, include_total } = request.into_inner();
        let size = page_size(size)?;
        let filter = filter(email.as_deref(), name_prefix.as_deref())?;
        let page_token = Some(page_token.as_str()).filter(|token| !token.is_empty());
        let list = service::list_users(&self.storage, &filter, size, page_token, include_total, &freshness).await?;
        Ok(response(list.map(|list| ListUsersResponse {
            users: list.users.into_iter().map(User::from).collect(),
            next_page_token: list.next_page_token.unwrap_or_default(),
            total: list.total,
        })))
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        let key = idempotency_key(&request, "CreateUser")?;
        let CreateUserRequest { name, email } = request.into_inner();
        let user = service::create_user(&self.storage, name, email, key).await?;
        Ok(written(user.map(|user| CreateUserResponse { user: Some(user.into()) })))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        let key = idempotency_key(&request, "UpdateUser")?;
        let UpdateUserRequest { id, name, email, update_mask, etag } = request.into_inner();
        let id = user_id("id", id)?;
        let expected = etag::expected(&etag)?;
        let mask = match update_mask {
            Some(mask) if !mask.paths.is_empty() => UpdateMask::parse(&mask)?,
            // Some clients send an empty mask when they mean none.
            _ => UpdateMask { name: !name.is_empty(), email: !email.is_empty() },
        };
        let (name, email) = (mask.name.then_some(name), mask.email.then_some(email));
        let user = service::update_user(&self.storage, id, expected, name, email, key).await?;
        Ok(written(user.map(|user| UpdateUserResponse { user: Some(user.into()) })))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let key = idempotency_key(&request, "DeleteUser")?;
        let DeleteUserRequest { id, etag } = request.into_inner();
        let id = user_id("id", id)?;
        let deleted = service::delete_user(&self.storage, id, etag::expected(&etag)?, key).await?;
        Ok(written(deleted.map(|()| DeleteUserResponse {})))
    }

    type WatchUsersStream = Messages;

    async fn watch_users(&self, request: Request<WatchUsersRequest>) -> Result<Response<Messages>, Status> {
        // Set when the call was authorized.
        let admitted = request.extensions().get::<Admitted>().copied();
        let admitted = admitted.ok_or(Failure::Refused(Refused::NoToken))?;
        Ok(Response::new(watch_users(&self.feed, self.draining.clone(), admitted, request.into_inner()).await?))
    }
}

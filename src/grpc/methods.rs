//! The methods of `users.v1.UserService`, in the order of the proto. Who may call them is in
//! [`endpoint`](super::endpoint).

use tonic::{Request, Response, Status};

use super::batch;
use super::caller::Admitted;
use super::convert::{filter, page_size, user_id};
use super::etag;
use super::failure::Failure;
use super::freshness::{found_or_not, freshness, response};
use super::generated::users::user_service_server::UserService;
use super::generated::users::{
    BatchGetUsersRequest, BatchGetUsersResponse, BatchWriteUsersRequest, BatchWriteUsersResponse, CreateUserRequest,
    CreateUserResponse, DeleteUserRequest, DeleteUserResponse, GetUserRequest, GetUserResponse, ListUsersRequest,
    ListUsersResponse, UpdateUserRequest, UpdateUserResponse, WatchUsersRequest,
};
use super::idempotency::{idempotency_key, written};
use super::raw_user;
use super::read_mask::{read_mask, shown};
use super::watch_users::{Messages, watch_users};
use crate::auth::Refused;
use crate::events::Feed;
use crate::net::Draining;
use crate::service;
use crate::storage::Storage;

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
        let GetUserRequest { id, read_mask: mask } = request.into_inner();
        let mask = read_mask(mask.as_ref())?;
        let found = service::get_user(&self.storage, user_id("id", id)?, &freshness).await?;
        found_or_not(found, |user| GetUserResponse { user: Some(shown(user, mask.as_ref())) })
    }

    async fn batch_get_users(
        &self,
        request: Request<BatchGetUsersRequest>,
    ) -> Result<Response<BatchGetUsersResponse>, Status> {
        let (freshness, caller) = (freshness(request.metadata())?, caller_id(&request)?);
        let BatchGetUsersRequest { ids, emails, read_mask: mask } = request.into_inner();
        let mask = read_mask(mask.as_ref())?;
        let (ids, keys) = batch::asked_users(ids, &emails)?;
        let by_id = service::batch_get_users(&self.storage, ids.clone(), &freshness, &caller).await?;
        let by_email = service::batch_get_users_by_email(&self.storage, keys, &freshness, &caller).await?;
        let found = by_id.and(by_email, |by_id, by_email| by_id.into_iter().chain(by_email).collect());
        Ok(response(batch::found_users(found, mask.as_ref(), &ids, emails)))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let freshness = freshness(request.metadata())?;
        let request = request.into_inner();
        let (size, include_total) = (page_size(request.page_size)?, request.include_total);
        let filter = filter(&request, self.storage.attributes_indexed())?;
        if include_total {
            let invalid = |detail| Failure::InvalidField { field: "include_total".into(), detail };
            filter.check_count().map_err(invalid)?;
        }
        let mask = read_mask(request.read_mask.as_ref())?;
        let page_token = Some(request.page_token.as_str()).filter(|token| !token.is_empty());
        let list = service::list_users(&self.storage, &filter, size, page_token, include_total, &freshness).await?;
        Ok(response(list.map(|list| ListUsersResponse {
            users: list.users.into_iter().map(|user| shown(user, mask.as_ref())).collect(),
            next_page_token: list.next_page_token.unwrap_or_default(),
            total: list.total,
        })))
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        let key = idempotency_key(&request, "CreateUser")?;
        let (name, email, profile) = raw_user::of_create(request.into_inner())?;
        let user = service::create_user(&self.storage, name, email, profile, key).await?;
        Ok(written(user.map(|user| CreateUserResponse { user: Some(user.into()) })))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        let key = idempotency_key(&request, "UpdateUser")?;
        let request = request.into_inner();
        let (id, expected) = (user_id("id", request.id)?, etag::expected(&request.etag)?);
        let (name, email, profile) = raw_user::of_update(request)?;
        let user = service::update_user(&self.storage, id, expected, name, email, profile, key).await?;
        Ok(written(user.map(|user| UpdateUserResponse { user: Some(user.into()) })))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let key = idempotency_key(&request, "DeleteUser")?;
        let DeleteUserRequest { id, etag } = request.into_inner();
        let id = user_id("id", id)?;
        let deleted = service::delete_user(&self.storage, id, etag::expected(&etag)?, key).await?;
        Ok(written(deleted.map(|()| DeleteUserResponse {})))
    }

    async fn batch_write_users(
        &self,
        request: Request<BatchWriteUsersRequest>,
    ) -> Result<Response<BatchWriteUsersResponse>, Status> {
        let (key, caller) = (idempotency_key(&request, "BatchWriteUsers")?, caller_id(&request)?);
        let BatchWriteUsersRequest { operations, atomic } = request.into_inner();
        let (operations, kinds) = batch::raw_operations(operations)?;
        let results = if atomic {
            let written = service::batch_write_users_atomically(&self.storage, operations, key).await;
            let written = written.map_err(|error| batch::failure(error, &kinds))?;
            let is_replay = written.is_replay;
            written.map(|users| users.into_iter().map(|user| batch::executed(user, is_replay)).collect())
        } else {
            batch::each(service::batch_write_users(&self.storage, operations, key, &caller).await?, &kinds)
        };
        Ok(written(results.map(|results| BatchWriteUsersResponse { results })))
    }

    type WatchUsersStream = Messages;

    async fn watch_users(&self, request: Request<WatchUsersRequest>) -> Result<Response<Messages>, Status> {
        let admitted = admitted(&request)?;
        Ok(Response::new(watch_users(&self.feed, self.draining.clone(), admitted, request.into_inner()).await?))
    }
}

fn caller_id<T>(request: &Request<T>) -> Result<[u8; 32], Failure> {
    admitted(request).map(|admitted| admitted.bearer.id)
}

fn admitted<T>(request: &Request<T>) -> Result<Admitted, Failure> {
    // Set when the call was authorized.
    request.extensions().get::<Admitted>().copied().ok_or(Failure::Refused(Refused::NoToken))
}

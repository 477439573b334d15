//! The methods of `users.v1.UserService` at a glance.

use tonic::{Request, Response, Status};

use super::batch_get_users::batch_get_users;
use super::create_user::create_user;
use super::delete_user::delete_user;
use super::failure::Failure;
use super::generated::users::user_service_server::UserService;
use super::generated::users::{
    BatchGetUsersRequest, BatchGetUsersResponse, CreateUserRequest, CreateUserResponse, DeleteUserRequest,
    DeleteUserResponse, GetUserRequest, GetUserResponse, ListUsersRequest, ListUsersResponse, UpdateUserRequest,
    UpdateUserResponse, WatchUsersRequest,
};
use super::get_user::get_user;
use super::list_users::list_users;
use super::observe::Admitted;
use super::update_user::update_user;
use super::watch_users::{Messages, watch_users};
use crate::auth::Refused;
use crate::events::Feed;
use crate::net::Draining;
use crate::storage::Storage;

/// Serves users.
#[derive(Clone)]
pub struct Users {
    pub storage: Storage,
    pub feed: Feed,
    pub draining: Draining,
}

#[tonic::async_trait]
impl UserService for Users {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        Ok(Response::new(get_user(&self.storage, request.into_inner()).await?))
    }

    async fn batch_get_users(
        &self,
        request: Request<BatchGetUsersRequest>,
    ) -> Result<Response<BatchGetUsersResponse>, Status> {
        Ok(Response::new(batch_get_users(&self.storage, request.into_inner()).await?))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        Ok(Response::new(list_users(&self.storage, request.into_inner()).await?))
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        Ok(Response::new(create_user(&self.storage, request.into_inner()).await?))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        Ok(Response::new(update_user(&self.storage, request.into_inner()).await?))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        Ok(Response::new(delete_user(&self.storage, request.into_inner()).await?))
    }

    type WatchUsersStream = Messages;

    async fn watch_users(&self, request: Request<WatchUsersRequest>) -> Result<Response<Messages>, Status> {
        // The gate leaves it.
        let admitted = request.extensions().get::<Admitted>().copied();
        let admitted = admitted.ok_or(Failure::Refused(Refused::NoToken))?;
        Ok(Response::new(watch_users(&self.feed, self.draining.clone(), admitted, request.into_inner()).await?))
    }
}

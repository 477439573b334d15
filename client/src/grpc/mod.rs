//! The gRPC transport.

mod convert;
mod generated;
mod status;

use std::time::Duration;

use futures_util::StreamExt as _;
use prost_types::FieldMask;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use crate::call::{Attempt, USER_AGENT};
use crate::error::Failed;
use crate::event::{Notices, WatchUsers};
use crate::list::{ListUsers, Page};
use crate::token::BoxError;
use crate::user::{Etag, User, UserFields, UserPatch};
use generated::user_service_client::UserServiceClient;
use generated::{
    BatchGetUsersRequest, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, UpdateUserRequest,
    WatchUsersRequest,
};

/// All calls share one connection. An unanswered ping shows that it is dead.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes attempts over gRPC.
pub(crate) struct Grpc(UserServiceClient<Channel>);

impl Grpc {
    pub(crate) fn new(base_url: &str, connect_timeout: Duration) -> Result<Self, BoxError> {
        // tonic panics outside of a runtime.
        tokio::runtime::Handle::try_current()?;
        let mut endpoint = Endpoint::from_shared(base_url.to_owned())?
            .user_agent(USER_AGENT)?
            .connect_timeout(connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        match endpoint.uri().scheme_str() {
            Some("http") => {}
            Some("https") => endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?,
            _ => return Err("the address must be http:// or https:// and a host".into()),
        }
        Ok(Self(UserServiceClient::new(endpoint.connect_lazy())))
    }

    pub(crate) async fn create_user(&self, attempt: Attempt, fields: &UserFields) -> Result<User, Failed> {
        let UserFields { name, email } = fields.clone();
        let request = request(attempt, CreateUserRequest { name, email, ..Default::default() });
        convert::user(message(self.client().create_user(request).await)?.user)
    }

    pub(crate) async fn get_user(&self, attempt: Attempt, id: i64) -> Result<User, Failed> {
        let request = request(attempt, GetUserRequest { id, ..Default::default() });
        convert::user(message(self.client().get_user(request).await)?.user)
    }

    /// Takes at most 1,000 ids.
    pub(crate) async fn get_users(&self, attempt: Attempt, ids: &[i64]) -> Result<Vec<User>, Failed> {
        let request =
            request(attempt, BatchGetUsersRequest { ids: ids.to_vec(), emails: Vec::new(), ..Default::default() });
        convert::users(message(self.client().batch_get_users(request).await)?.users)
    }

    pub(crate) async fn list_users(&self, attempt: Attempt, list: &ListUsers, token: &str) -> Result<Page, Failed> {
        let ListUsers { email, name_prefix, page_size } = list.clone();
        let list = ListUsersRequest {
            page_size: page_size.into(),
            page_token: token.to_owned(),
            email,
            name_prefix,
            include_total: false,
            ..Default::default()
        };
        let page = message(self.client().list_users(request(attempt, list)).await)?;
        let next_page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
        Ok(Page { users: convert::users(page.users)?, next_page_token })
    }

    pub(crate) async fn update_user(
        &self,
        attempt: Attempt,
        id: i64,
        fields: &UserFields,
        etag: Option<&Etag>,
    ) -> Result<User, Failed> {
        let UserFields { name, email } = fields.clone();
        self.patch_user(attempt, id, &UserPatch { name: Some(name), email: Some(email) }, etag).await
    }

    pub(crate) async fn patch_user(
        &self,
        attempt: Attempt,
        id: i64,
        patch: &UserPatch,
        etag: Option<&Etag>,
    ) -> Result<User, Failed> {
        let fields = [("name", &patch.name), ("email", &patch.email)];
        let given = fields.into_iter().filter(|(_, value)| value.is_some());
        let UserPatch { name, email } = patch.clone();
        let update = UpdateUserRequest {
            id,
            name: name.unwrap_or_default(),
            email: email.unwrap_or_default(),
            update_mask: Some(FieldMask { paths: given.map(|(field, _)| field.to_owned()).collect() }),
            etag: text(etag),
            ..Default::default()
        };
        convert::user(message(self.client().update_user(request(attempt, update)).await)?.user)
    }

    pub(crate) async fn delete_user(&self, attempt: Attempt, id: i64, etag: Option<&Etag>) -> Result<(), Failed> {
        let request = request(attempt, DeleteUserRequest { id, etag: text(etag) });
        message(self.client().delete_user(request).await).map(|_| ())
    }

    pub(crate) async fn watch_users(&self, attempt: Attempt, watch: &WatchUsers) -> Result<Notices, Failed> {
        let types = watch.types.iter().map(|known| convert::event_type(*known).into()).collect();
        let mut request = Request::new(WatchUsersRequest { after: watch.after, types });
        // No timeout in the request: the attempt's deadline is for opening the stream, which itself has no end.
        *request.metadata_mut() = MetadataMap::from_headers(attempt.headers);
        let messages = message(self.client().watch_users(request).await)?;
        Ok(messages.map(|message| message.map_err(status::failed).and_then(convert::notice)).boxed())
    }

    /// Clones share the connection.
    fn client(&self) -> UserServiceClient<Channel> {
        self.0.clone()
    }
}

fn request<T>(attempt: Attempt, message: T) -> Request<T> {
    let mut request = Request::new(message);
    *request.metadata_mut() = MetadataMap::from_headers(attempt.headers);
    request.set_timeout(attempt.deadline.saturating_duration_since(Instant::now()));
    request
}

fn message<T>(response: Result<Response<T>, Status>) -> Result<T, Failed> {
    response.map(Response::into_inner).map_err(status::failed)
}

fn text(etag: Option<&Etag>) -> String {
    etag.map(ToString::to_string).unwrap_or_default()
}

//! The gRPC transport.

mod batch;
mod convert;
mod generated;
mod requests;
mod status;

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use crate::call::{Attempt, USER_AGENT};
use crate::error::Failed;
use crate::event::{Notices, WatchUsers};
use crate::fields::{UserFields, UserPatch};
use crate::list::{ListUsers, Page};
use crate::token::BoxError;
use crate::user::{Etag, User};
use generated::user_service_client::UserServiceClient;
use generated::{GetUserRequest, ListUsersRequest, UpdateUserRequest, WatchUsersRequest};

/// All calls share one connection. An unanswered ping shows that it is dead.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// Holds a thousand users with all that they may have, which tonic's own limit of 4 MiB does not.
const LARGEST_MESSAGE: usize = 16 << 20;

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
        let client = UserServiceClient::new(endpoint.connect_lazy());
        Ok(Self(client.max_decoding_message_size(LARGEST_MESSAGE)))
    }

    pub(crate) async fn create_user(&self, attempt: Attempt, fields: &UserFields) -> Result<User, Failed> {
        let request = request(attempt, requests::create(fields.clone()));
        convert::user(message(self.client().create_user(request).await)?.user)
    }

    pub(crate) async fn get_user(&self, attempt: Attempt, id: i64) -> Result<User, Failed> {
        let request = request(attempt, GetUserRequest { id, ..Default::default() });
        convert::user(message(self.client().get_user(request).await)?.user)
    }

    pub(crate) async fn list_users(&self, attempt: Attempt, list: &ListUsers, token: &str) -> Result<Page, Failed> {
        let ListUsers { email, name_prefix, external_id, status, attributes, page_size } = list.clone();
        let list = ListUsersRequest {
            page_size: page_size.into(),
            page_token: token.to_owned(),
            email,
            name_prefix,
            include_total: false,
            external_id,
            status: convert::status(status).into(),
            attributes: attributes.into_iter().collect(),
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
        self.update(attempt, requests::update(id, fields.clone().into(), etag)).await
    }

    pub(crate) async fn patch_user(
        &self,
        attempt: Attempt,
        id: i64,
        patch: &UserPatch,
        etag: Option<&Etag>,
    ) -> Result<User, Failed> {
        self.update(attempt, requests::update(id, patch.clone().into(), etag)).await
    }

    async fn update(&self, attempt: Attempt, update: UpdateUserRequest) -> Result<User, Failed> {
        convert::user(message(self.client().update_user(request(attempt, update)).await)?.user)
    }

    pub(crate) async fn delete_user(&self, attempt: Attempt, id: i64, etag: Option<&Etag>) -> Result<(), Failed> {
        let request = request(attempt, requests::delete(id, etag));
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

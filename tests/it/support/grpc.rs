//! gRPC without the client crate, so that a test sees every detail of a response.

use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::http2_client::Http2Client;
use super::server::Server;
use super::token::TOKEN;
use proto::user_service_client::UserServiceClient;

/// The messages and the client generated from the `.proto`.
#[allow(clippy::pedantic, reason = "generated code")]
pub mod proto {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/client/src/grpc/generated/users.v1.rs"));
}

/// A client that sends a token.
pub type Grpc = UserServiceClient<InterceptedService<Channel, Authorized>>;

/// Adds a token to every call.
#[derive(Clone)]
pub struct Authorized(pub String);

impl Interceptor for Authorized {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", bearer(&self.0));
        Ok(request)
    }
}

pub fn bearer(token: &str) -> MetadataValue<tonic::metadata::Ascii> {
    format!("Bearer {token}").parse().expect("a header")
}

/// A connection that opens with the first call.
pub fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    endpoint.timeout(Duration::from_secs(30)).connect_lazy()
}

impl Server {
    /// A client with all scopes, on its own connection.
    pub fn grpc(&self) -> Grpc {
        self.grpc_with(&TOKEN)
    }

    pub fn grpc_with(&self, token: &str) -> Grpc {
        UserServiceClient::with_interceptor(channel(self.grpc_address()), Authorized(token.to_owned()))
    }

    /// A client that leaves deadlines to the server.
    pub async fn grpc_without_a_clock(&self) -> UserServiceClient<InterceptedService<Http2Client, Authorized>> {
        let connection =
            InterceptedService::new(Http2Client::connect(self.grpc_address()).await, Authorized(TOKEN.clone()));
        let origin = format!("http://{}", self.grpc_address()).parse().expect("a URL");
        UserServiceClient::with_origin(connection, origin)
    }
}

/// The details of a status. Checks those that every status of the service has.
pub fn details(status: &Status, reason: &str) -> ErrorDetails {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "user-service"), "{status:?}");
    let request = details.request_info().unwrap_or_else(|| panic!("no RequestInfo in {status:?}"));
    // A stream sends its id at the beginning, not with its status.
    if let Some(id) = status.metadata().get("x-request-id") {
        assert_eq!(id, request.request_id.as_str(), "{status:?}");
    }
    details
}

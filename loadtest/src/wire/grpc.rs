//! One connection over gRPC.
//!
//! Not the project's client: it repeats reads that failed, and so hides what is measured here.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};
use url::Url;

use self::generated::GetUserRequest;
use self::generated::user_service_client::UserServiceClient;
use super::http::chain;

const CONNECT: Duration = Duration::from_secs(5);

pub(crate) struct GrpcConnection {
    client: UserServiceClient<Channel>,
    authorization: MetadataValue<Ascii>,
}

impl GrpcConnection {
    /// Connects with its first call.
    pub(crate) fn new(url: &Url, authorization: &str) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(url.to_string()).map_err(|error| chain(&error))?;
        let mut endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true);
        if url.scheme() == "https" {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(|error| chain(&error))?;
        }
        let authorization = authorization.parse().map_err(|_| "the token is no valid metadata".to_owned())?;
        Ok(Self { client: UserServiceClient::new(endpoint.connect_lazy()), authorization })
    }

    /// The name of the call's status, and its message if it failed.
    pub(crate) async fn get_user(&mut self, id: i64) -> (Code, String) {
        let mut request = Request::new(GetUserRequest { id, ..Default::default() });
        request.metadata_mut().insert("authorization", self.authorization.clone());
        match self.client.get_user(request).await {
            Ok(_) => (Code::Ok, String::new()),
            Err(status) => (status.code(), status.message().to_owned()),
        }
    }
}

mod generated {
    #![allow(clippy::pedantic, dead_code, unreachable_pub, reason = "generated code, of which one method is used")]

    include!("../../../client/src/grpc/generated/users.v1.rs");
}

//! gRPC: the health protocol.

use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::support::{App, Db, Postgres, Program, Server, channel};

/// The messages of the health protocol.
mod proto {
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HealthCheckRequest {
        #[prost(string, tag = "1")]
        pub service: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HealthCheckResponse {
        #[prost(enumeration = "ServingStatus", tag = "1")]
        pub status: i32,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
    #[repr(i32)]
    pub enum ServingStatus {
        Unknown = 0,
        Serving = 1,
        NotServing = 2,
        ServiceUnknown = 3,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HealthListRequest {}

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct HealthListResponse {
        #[prost(map = "string, message", tag = "1")]
        pub statuses: HashMap<String, HealthCheckResponse>,
    }
}

use proto::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse, ServingStatus};

const SOON: Duration = Duration::from_secs(15);
const USERS: &str = "users.v1.UserService";

/// A client without a token.
pub struct Health(tonic::client::Grpc<Channel>);

impl Health {
    pub fn of(server: &Server) -> Self {
        Self(tonic::client::Grpc::new(channel(server.grpc_address())))
    }

    pub async fn check(&mut self, service: &str) -> Result<ServingStatus, Status> {
        self.0.ready().await.unwrap();
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
        let answer =
            self.0.unary(Request::new(HealthCheckRequest { service: service.to_owned() }), path, codec).await?;
        Ok(answer.into_inner().status())
    }

    async fn list(&mut self) -> HealthListResponse {
        self.0.ready().await.unwrap();
        let codec = ProstCodec::<HealthListRequest, HealthListResponse>::default();
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/List");
        self.0.unary(Request::new(HealthListRequest {}), path, codec).await.unwrap().into_inner()
    }

    async fn watch(&mut self, service: &str) -> Statuses {
        self.0.ready().await.unwrap();
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Watch");
        let request = Request::new(HealthCheckRequest { service: service.to_owned() });
        Statuses(self.0.server_streaming(request, path, codec).await.unwrap().into_inner())
    }
}

struct Statuses(Streaming<HealthCheckResponse>);

impl Statuses {
    /// The next status, or `None` at the end of the stream.
    async fn next(&mut self) -> Option<ServingStatus> {
        let message = timeout(SOON, self.0.message()).await.expect("a status in time");
        message.unwrap().map(|message| message.status())
    }
}

#[tokio::test]
async fn it_follows_readiness() {
    let (dir, mut postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let server = Server::listening(Program::new(dir.path()).env("DATABASE_URL", postgres.url()));
    server.ready().await;
    let mut health = Health::of(&server);
    let mut statuses = health.watch(USERS).await;
    assert_eq!(statuses.next().await, Some(ServingStatus::Serving));
    for service in ["", USERS] {
        assert_eq!(health.check(service).await.unwrap(), ServingStatus::Serving);
    }
    postgres.crash();
    assert_eq!(statuses.next().await, Some(ServingStatus::NotServing));
    assert_eq!(health.check("").await.unwrap(), ServingStatus::NotServing);
    let listed = health.list().await.statuses;
    assert_eq!(listed.len(), 2);
    assert!(listed.values().all(|it| it.status() == ServingStatus::NotServing), "{listed:?}");
    postgres.start().await;
    assert_eq!(statuses.next().await, Some(ServingStatus::Serving));
}

#[tokio::test]
async fn a_service_that_is_not_there_may_come() {
    let app = App::start(Db::Sqlite).await;
    let mut health = Health::of(&app);
    assert_eq!(health.check("users.v2.UserService").await.unwrap_err().code(), Code::NotFound);
    let mut statuses = health.watch("users.v2.UserService").await;
    assert_eq!(statuses.next().await, Some(ServingStatus::ServiceUnknown));
    let more = timeout(Duration::from_millis(300), statuses.0.message()).await;
    assert!(more.is_err(), "the stream has ended: {more:?}");
}

#[tokio::test]
async fn watchers_hear_of_the_end_and_do_not_hold_it_up() {
    let mut app = App::start(Db::Sqlite).await;
    let mut health = Health::of(&app);
    let (mut statuses, mut unknown) = (health.watch("").await, health.watch("other").await);
    assert_eq!(statuses.next().await, Some(ServingStatus::Serving));
    app.signal("TERM");
    assert_eq!(statuses.next().await, Some(ServingStatus::NotServing));
    assert_eq!(statuses.next().await, None);
    assert_eq!(unknown.next().await, Some(ServingStatus::ServiceUnknown));
    assert_eq!(unknown.next().await, None);
    assert_eq!(app.exit(SOON).await.code(), Some(0));
}

//! `HAProxy` with the configuration in `deploy/haproxy`, in front of a replica that has few connections.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rstest::rstest;
use tonic::Code;

use crate::support::proto::GetUserRequest;
use crate::support::proto::user_service_client::UserServiceClient;
use crate::support::{App, Authorized, Db, HaProxy, Http2Client, TOKEN, at_once, channel};

const CONNECTIONS: &str = "40";
/// How many of these `HAProxy` may use for REST; the others are for gRPC.
const HAPROXYS: usize = 30;
const CLIENTS: usize = 100;
const AT_ONCE: usize = 20;
/// Long enough for `HAProxy` to mark the replica down, which takes two checks without an answer within a second.
const TIME: Duration = Duration::from_secs(4);

/// The numbers of requests that were served and refused.
type Told = (usize, usize);

async fn before_a_small_replica() -> (App, HaProxy) {
    let app = App::start_with(Db::Sqlite, &[("MAX_CONNECTIONS", CONNECTIONS)]).await;
    app.create("John", "john@example.com").await;
    let haproxy = HaProxy::before(&app, HAPROXYS).await;
    (app, haproxy)
}

/// Sends `AT_ONCE` requests at once, again and again.
async fn crowd<F: Future<Output = bool>>(ask: impl Fn() -> F) -> Told {
    let (begun, mut told) = (Instant::now(), (0, 0));
    while begun.elapsed() < TIME {
        for is_served in join_all((0..AT_ONCE).map(|_| ask())).await {
            if is_served { told.0 += 1 } else { told.1 += 1 }
        }
    }
    told
}

async fn over_rest(haproxy: &HaProxy) -> Told {
    let (client, url) =
        (Http2Client::connect(haproxy.address()).await, format!("http://{}/api/v2/users/1", haproxy.address()));
    crowd(async || match client.get(&url).await.unwrap() {
        200 => true,
        // No connection was free in time.
        503 => false,
        other => panic!("{other}"),
    })
    .await
}

async fn over_grpc(haproxy: &HaProxy) -> Told {
    let client = UserServiceClient::with_interceptor(channel(haproxy.grpc_address()), Authorized(TOKEN.clone()));
    crowd(async || match client.clone().get_user(GetUserRequest { id: 1, ..Default::default() }).await {
        Ok(_) => true,
        // The service allows no more concurrent calls than connections.
        Err(status) => {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
            false
        }
    })
    .await
}

/// Without limits, the clients' requests would leave a replica no connection for the health check.
#[rstest]
#[case::over_rest("rest", over_rest)]
#[case::over_grpc("grpc", over_grpc)]
#[tokio::test]
async fn a_hundred_clients_do_not_take_a_replica_away(
    #[case] backend: &str,
    #[case] ask: impl AsyncFn(&HaProxy) -> Told,
) {
    let (app, haproxy) = before_a_small_replica().await;
    let told = at_once(CLIENTS, async |_| ask(&haproxy).await).await;
    let (served, refused) = told.into_iter().fold((0, 0), |sum, told| (sum.0 + told.0, sum.1 + told.1));
    assert!(served > 0, "{refused} refused: {}", haproxy.log());
    let connections = haproxy.fact(backend, "connect");
    assert!(
        connections.parse::<usize>().unwrap() < CLIENTS,
        "{connections} connections were opened, so clients do not share them"
    );
    let facts = ["status", "chkdown", "econ", "eresp"].map(|name| haproxy.fact("rest", name));
    assert_eq!(facts, ["UP", "0", "0", "0"], "{}", haproxy.log());
    assert!(app.is_ready().await);
}

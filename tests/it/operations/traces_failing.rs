//! Collectors that hang, refuse or do not exist: no request waits for them.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::support::{Answered, App, Db, Otlp, at_once, until};

const SOON: Duration = Duration::from_secs(10);

async fn app(endpoint: &str) -> App {
    let vars = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ("SHUTDOWN_DELAY", "0s"),
    ];
    App::start_with(Db::Sqlite, &vars).await
}

/// Sends requests with many more spans than the queue holds. All are answered quickly.
async fn is_served_as_ever(app: &App) {
    for _ in 0..5 {
        let begun = Instant::now();
        let statuses = at_once(100, async |_| app.get("/api/v2/users/1").answer().await.status).await;
        assert!(statuses.iter().all(|status| *status == 404), "{statuses:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn one_that_hangs_slows_nobody() {
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut app = app(&format!("http://{}", hangs.local_addr().unwrap())).await;
    is_served_as_ever(&app).await;
    until("the failure is logged", SOON, async || app.log().contains("cannot send traces to http://127.0.0.1")).await;
    is_served_as_ever(&app).await;
    assert_eq!(app.log().matches("cannot send traces").count(), 1, "the failure is logged once: {}", app.log());
    app.signal("TERM");
    assert!(app.exit(Duration::from_secs(4)).await.success(), "the shutdown waits for the collector");
}

#[rstest]
#[case::is_not_there("http://127.0.0.1:1")]
#[tokio::test]
async fn one_that_cannot_be_reached_slows_nobody(#[case] endpoint: &str) {
    let mut app = app(endpoint).await;
    is_served_as_ever(&app).await;
    until("the failure is logged", SOON, async || {
        app.log().contains("cannot send traces to http://127.0.0.1:1/v1/traces")
    })
    .await;
    is_served_as_ever(&app).await;
    app.signal("TERM");
    assert!(app.exit(Duration::from_secs(4)).await.success());
}

#[tokio::test]
async fn one_that_refuses_slows_nobody() {
    let refuses = Otlp::answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    let app = app(&refuses.endpoint).await;
    is_served_as_ever(&app).await;
    app.logs("cannot send traces").await;
    app.logs("503").await;
    is_served_as_ever(&app).await;
}

#[tokio::test]
async fn what_is_left_is_sent_at_the_end() {
    let otlp = Otlp::start();
    let vars = [("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let mut app = App::start_with(Db::Sqlite, &[&vars[..], &[("SHUTDOWN_DELAY", "0s")]].concat()).await;
    app.get("/api/v2/users/1").answer().await.expect(404);
    app.signal("TERM");
    assert!(app.exit(SOON).await.success());
    otlp.until("the request's span arrives", |spans| spans.iter().any(|span| span.name == "GET /api/v2/users/{id}"))
        .await;
}

#[tokio::test]
async fn one_on_loopback_is_asked_through_no_proxy() {
    let (collector, proxy) = (Otlp::start(), TcpListener::bind("127.0.0.1:0").unwrap());
    let proxy = format!("http://{}", proxy.local_addr().unwrap());
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str());
    let vars = [endpoint, ("OTEL_BSP_SCHEDULE_DELAY", "20"), ("ALL_PROXY", &proxy), ("HTTP_PROXY", &proxy)];
    let app = App::start_with(Db::Sqlite, &vars).await;
    app.get("/api/v2/users/1").answer().await.expect(404);
    collector.wait(1).await;
}

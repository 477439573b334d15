//! Traces, as an OpenTelemetry collector receives them.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::RequestBuilder;
use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, Db, Otlp, Raw, Seen, at_once, until, user};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;

async fn app(db: Db, otlp: &Otlp, vars: &[(&str, &str)]) -> App {
    let usual = [("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    // The polls of /ready at the start are not part of the test, so they are not sampled.
    App::start_with(db, &[&usual[..], &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")], vars].concat()).await
}

/// A request whose caller samples its trace.
fn sampled(request: RequestBuilder) -> RequestBuilder {
    request.header("traceparent", format!("00-{TRACE}-{PARENT}-01")).header("tracestate", "vendor=1")
}

fn named<'a>(spans: &'a [Seen], name: &str) -> &'a Seen {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "more than one {name} in {spans:#?}");
    span
}

#[rstest]
#[tokio::test]
async fn a_request_is_followed_to_its_transaction(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let otlp = Otlp::start();
    let vars = [("OTEL_SERVICE_NAME", "people"), ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary")];
    let app = app(db, &otlp, &vars).await;
    sampled(app.post("/api/v2/users", &user("Canary", "canary@example.com"))).answer().await.expect(201);
    let spans = otlp.wait(4).await;

    let request = named(&spans, "POST /api/v2/users");
    assert_eq!(
        (request.trace_id.as_str(), request.parent.as_str(), request.state.as_str()),
        (TRACE, PARENT, "vendor=1")
    );
    assert_eq!((request.kind, request.status, request.events), (SERVER, 0, 0));
    let attributes = [
        ("http.request.method", "POST"),
        ("http.route", "/api/v2/users"),
        ("http.response.status_code", "Some(IntValue(201))"),
        ("url.path", "/api/v2/users"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
    ];
    for (name, value) in attributes {
        assert_eq!(request.attributes.get(name).map(String::as_str), Some(value), "{name} of {request:#?}");
    }
    let use_case = named(&spans, "create_user");
    assert_eq!((&use_case.trace_id, &use_case.parent), (&request.trace_id, &request.span_id));

    let batch = named(&spans, "batch");
    assert_eq!(batch.parent, "", "a batch serves many requests, so it has no parent");
    assert_eq!(batch.links, [(request.trace_id.clone(), request.span_id.clone())]);
    let system = if matches!(db, Db::Sqlite) { "sqlite" } else { "postgresql" };
    assert_eq!(batch.attributes["db.system.name"], system);
    assert_eq!(batch.attributes["user_service.lane"], "writes");
    assert!(
        !batch.attributes.contains_key("db.operation.batch.size"),
        "the conventions allow it for more than one only"
    );
    let transaction = named(&spans, "transaction");
    assert_eq!(
        (&transaction.trace_id, &transaction.parent, transaction.kind),
        (&batch.trace_id, &batch.span_id, CLIENT)
    );
    assert!(transaction.nanos > 0 && transaction.nanos <= batch.nanos, "{transaction:#?} in {batch:#?}");

    assert!(spans.iter().all(|span| span.resource["service.name"] == "people"), "{spans:#?}");
    assert!(otlp.heads().iter().all(|head| head.contains("Bearer canary")), "the configured header is sent");
}

#[rstest]
#[tokio::test]
async fn each_use_case_has_a_span(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let otlp = Otlp::start();
    let app = app(db, &otlp, &[]).await;
    app.create("John", "john@example.com").await;
    sampled(app.get("/api/v2/users/1")).answer().await.expect(200);
    sampled(app.get("/api/v1/users?page=1")).answer().await.expect(200);
    sampled(app.get("/api/v2/users")).answer().await.expect(200);
    sampled(app.patch("/api/v2/users/1", &json!({ "name": "Jane" }))).answer().await.expect(200);
    sampled(app.delete("/api/v2/users/1")).answer().await.expect(204);
    let spans = otlp.wait(20).await;
    for (request, use_case) in [
        ("GET /api/v2/users/{id}", "get_user"),
        ("GET /api/v1/users", "list_users_by_offset"),
        ("GET /api/v2/users", "list_users"),
        ("PATCH /api/v2/users/{id}", "update_user"),
        ("DELETE /api/v2/users/{id}", "delete_user"),
    ] {
        assert_eq!(named(&spans, use_case).parent, named(&spans, request).span_id, "{use_case}");
    }
}

#[rstest]
#[tokio::test]
async fn no_person_is_in_a_span(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let otlp = Otlp::start();
    let app = app(db, &otlp, &[]).await;
    let canary = "canary@example.com";
    sampled(app.post("/api/v2/users", &user("Canary", canary))).answer().await.expect(201);
    sampled(app.post("/api/v2/users", &user("Canary", canary))).answer().await.expect(409);
    sampled(app.post("/api/v2/users", &user("Canary", "canary@"))).answer().await.expect(422);
    sampled(app.get("/api/v2/users?email=canary@example.com")).answer().await.expect(200);
    sampled(app.get("/api/v2/users?name_prefix=canary")).answer().await.expect(200);
    sampled(app.get("/canary@example.com")).header("user-agent", "canary").answer().await.expect(404);
    let spans =
        otlp.until("the last request's span arrives", |spans| spans.iter().any(|span| span.name == "GET")).await;
    let spans = format!("{spans:?}").to_lowercase();
    for personal in ["canary", "127.0.0.1", "users/1"] {
        assert!(!spans.contains(personal), "{personal} in {spans}");
    }
}

#[tokio::test]
async fn failures_are_marked_and_strange_methods_bounded() {
    let otlp = Otlp::start();
    let app = app(Db::Sqlite, &otlp, &[("DB_DEADLINE", "3s")]).await;
    let lock = app.database.lock_writers();
    let post = sampled(app.post("/api/v2/users", &user("John", "john@example.com")));
    let problem = post.answer().await.problem(503, "unavailable");
    assert_eq!(problem["trace_id"], TRACE);
    drop(lock);
    let brew = reqwest::Method::from_bytes(b"BREW").unwrap();
    sampled(app.request(brew, "/api/v2/users")).answer().await.expect(405);
    let spans = otlp
        .until("the spans of both requests arrive", |spans| spans.iter().any(|span| span.name.starts_with("HTTP")))
        .await;
    let request = named(&spans, "POST /api/v2/users");
    assert_eq!((request.status, request.attributes["error.type"].as_str()), (ERROR, "503"));
    assert!(spans.iter().any(|span| span.name == "transaction" && span.status == ERROR), "{spans:#?}");
    let strange = named(&spans, "HTTP /api/v2/users");
    assert_eq!((strange.status, strange.attributes["http.request.method"].as_str()), (0, "_OTHER"));
}

#[tokio::test]
async fn whoever_hangs_up_is_marked() {
    let otlp = Otlp::start();
    let app = app(Db::Sqlite, &otlp, &[("OTEL_TRACES_SAMPLER", "always_on"), ("DB_DEADLINE", "60s")]).await;
    let lock = app.database.lock_writers();
    let body = user("John", "john@example.com").to_string();
    let mut raw = Raw::begin_post(app.address(), "/api/v2/users", body.len());
    raw.write(&body);
    let in_flight = async || app.metrics().await.value("http_requests_in_flight");
    until("the request is in flight", Duration::from_secs(5), async || in_flight().await == 2.0).await;
    drop(raw);
    until("the request is no longer in flight", Duration::from_secs(5), async || in_flight().await == 1.0).await;
    drop(lock);
    let cancelled = |span: &Seen| span.attributes.get("error.type").is_some_and(|error| error == "cancelled");
    let spans = otlp.until("the cancelled request's span arrives", |spans| spans.iter().any(cancelled)).await;
    assert_eq!(spans.iter().find(|span| cancelled(span)).unwrap().name, "POST");
}

#[rstest]
#[tokio::test]
async fn a_batch_links_all_that_it_served(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const REQUESTS: usize = 30;
    const AND_THE_SCRAPE: f64 = 31.0;
    // Half of the requests change one user. On PostgreSQL, a batch takes only one of these.
    const UPDATE: &str = "PATCH /api/v2/users/{id}";
    let otlp = Otlp::start();
    let app = app(db, &otlp, &[("DB_DEADLINE", "60s")]).await;
    app.create("John", "john@example.com").await;
    let lock = app.database.lock_writers();
    let write = async |client: usize| {
        let name = json!({ "name": format!("Jane {client}") });
        let create = app.post("/api/v2/users", &user("Jane", &format!("jane{client}@example.com")));
        let update = app.patch("/api/v2/users/1", &name);
        sampled(if client.is_multiple_of(2) { create } else { update }).answer().await.status
    };
    let release = async {
        until("all requests wait", Duration::from_secs(10), async || {
            let metrics = app.metrics().await;
            metrics.value("http_requests_in_flight") == AND_THE_SCRAPE
        })
        .await;
        drop(lock);
    };
    let (statuses, ()) = futures::join!(at_once(REQUESTS, write), release);
    assert!(statuses.iter().all(|status| matches!(status, 200 | 201)), "{statuses:?}");
    let is_request = |span: &&Seen| span.name == "POST /api/v2/users" || span.name == UPDATE;
    let spans = otlp
        .until("the spans of all requests and batches arrive", |spans| {
            let linked = spans.iter().filter(|span| span.name == "batch").map(|batch| batch.links.len());
            spans.iter().filter(is_request).count() == REQUESTS && linked.sum::<usize>() >= REQUESTS
        })
        .await;
    let requests = BTreeSet::from_iter(spans.iter().filter(is_request).map(|span| span.span_id.as_str()));
    let batches = Vec::from_iter(spans.iter().filter(|span| span.name == "batch" && span.status != ERROR));
    let linked = Vec::from_iter(batches.iter().flat_map(|batch| &batch.links).map(|(_, span)| span.as_str()));
    assert_eq!(BTreeSet::from_iter(linked.iter().copied()), requests);
    assert_eq!(linked.len(), REQUESTS, "each request is linked once");
    assert!(batches.iter().any(|batch| batch.links.len() > 5), "{batches:#?}");
}

#[tokio::test]
async fn whoever_is_not_sampled_has_no_span() {
    let otlp = Otlp::start();
    let app = app(Db::Sqlite, &otlp, &[]).await;
    let get = |id: u32, flags: &str| {
        let parent = format!("00-{TRACE}-00000000000000{flags}-{flags}");
        app.get(&format!("/api/v2/users/{id}")).header("traceparent", parent)
    };
    get(1, "02").answer().await.problem(404, "user_not_found");
    app.get("/api/v2/users/1").answer().await.expect(404);
    let malformed = app.get("/api/v2/users/1").header("traceparent", format!("00-{TRACE}-{PARENT}-01-extra"));
    malformed.answer().await.expect(404);
    // Another user: the user cache knows by now that there is no user 1.
    get(2, "01").answer().await.expect(404);
    let spans = otlp.wait(4).await;
    assert_eq!(spans.len(), 4, "one request, its use case, batch and transaction");
    assert_eq!(named(&spans, "GET /api/v2/users/{id}").parent, "0000000000000001");
}

#[tokio::test]
async fn a_ratio_is_kept() {
    const REQUESTS: usize = 1000;
    let otlp = Otlp::start();
    let vars = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.2")];
    let app = app(Db::Sqlite, &otlp, &vars).await;
    for _ in 0..REQUESTS / 100 {
        at_once(100, async |_| app.get("/api/v2/users/1").answer().await.status).await;
    }
    // Five standard deviations to each side.
    let requests = |spans: &[Seen]| spans.iter().filter(|span| span.name == "GET /api/v2/users/{id}").count();
    let spans = otlp.until("a fifth of the spans arrives", |spans| requests(spans) >= 137).await;
    assert!(requests(&spans) <= 263, "{}", requests(&spans));
    let traces = BTreeSet::from_iter(spans.iter().filter(|span| span.kind == SERVER).map(|span| &span.trace_id));
    assert_eq!(
        traces.len(),
        spans.iter().filter(|span| span.kind == SERVER).count(),
        "each request begins its own trace"
    );
}

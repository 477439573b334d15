//! The program as an AWS Lambda function. `cargo lambda` emulates Lambda's Runtime API and sends the events.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::sleep;
use url::Url;

use crate::support::lambda::{Lambda, Request, Trigger, decoded};
use crate::support::{App, Consumer, Db, Forgetful, LiveStream, Otlp, TOKEN, Vhost, until, user};

#[rstest]
#[tokio::test]
async fn it_creates_reads_changes_and_deletes(
    #[values(Trigger::RestApi, Trigger::HttpApi, Trigger::FunctionUrl, Trigger::LoadBalancer)] trigger: Trigger,
) {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    let ask = async |request: Request| lambda.ask(trigger, &request).await;

    let created = ask(Request::new("POST", "/api/v2/users").json(&user("Zoë & Co", "zoe@example.com"))).await;
    let zoe = created.body(201);
    assert_eq!((&zoe["id"], &zoe["name"]), (&json!(1), &json!("Zoë & Co")));
    assert_eq!(created.header("location"), "/api/v2/users/1");
    let read = ask(Request::get("/api/v2/users/1")).await;
    assert_eq!(read.body(200), zoe);
    let etag = read.header("etag");
    ask(Request::get("/api/v2/users/1").header("if-none-match", etag)).await.empty(304);
    ask(Request::new("HEAD", "/api/v2/users/1")).await.empty(200);

    let list = Request::get("/api/v2/users").query("name_prefix", "zoë & c").query("include_total", "true");
    let page = ask(list).await.body(200);
    assert_eq!((&page["users"], &page["total"]), (&json!([zoe]), &json!(1)));

    let patch = Request::new("PATCH", "/api/v2/users/1").header("if-match", etag);
    let patch = patch.body("application/merge-patch+json", br#"{"name":"Zoe"}"#);
    assert_eq!(ask(patch.clone()).await.body(200)["name"], "Zoe");
    ask(patch).await.problem(412, "version_mismatch");
    ask(Request::new("DELETE", "/api/v1/users/1")).await.empty(204);
    ask(Request::get("/api/v1/users/1")).await.error(404);
}

#[rstest]
#[tokio::test]
async fn it_refuses_what_http_refuses(
    #[values(Trigger::RestApi, Trigger::HttpApi, Trigger::FunctionUrl, Trigger::LoadBalancer)] trigger: Trigger,
) {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    let ask = async |request: Request| lambda.ask(trigger, &request).await;
    let post = || Request::new("POST", "/api/v2/users");

    let stranger = ask(Request::anonymous("GET", "/api/v2/users")).await;
    stranger.problem(401, "unauthorized");
    assert!(stranger.header("www-authenticate").starts_with("Bearer "));
    ask(Request::anonymous("GET", "/health")).await.body(200);
    ask(Request::get("/api/v2/nothing")).await.problem(404, "route_not_found");
    ask(Request::get("/api/v2/users/1")).await.problem(404, "user_not_found");
    let wrong = ask(Request::new("PUT", "/api/v2/users")).await;
    wrong.problem(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET, HEAD, POST");
    ask(post().body("text/plain", b"John")).await.problem(415, "unsupported_media_type");
    ask(post().body("application/json", b"{")).await.problem(400, "malformed_body");
    ask(post().body("application/json", b"\xff\xfe")).await.problem(400, "malformed_body");
    ask(post().body("application/json", &vec![b' '; 70_000])).await.problem(413, "body_too_large");
    let invalid = ask(post().json(&user("", "nobody"))).await;
    assert_eq!(invalid.invalid_fields(), ["/email", "/name"]);
    ask(Request::get("/api/v2/users").query("page_size", "x")).await.problem(400, "invalid_query");
}

/// The function encodes an answer in base64 if it is not text.
#[tokio::test]
async fn an_answer_may_be_binary() {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    for trigger in Trigger::ALL {
        let page = Request::anonymous("GET", "/docs/swagger-ui.css").header("accept-encoding", "gzip");
        let (_, answer) = lambda.invoke(&trigger.event(&page)).await;
        assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(true)), "{trigger:?}");
        let body = decoded(answer["body"].as_str().unwrap());
        assert_eq!(body[..2], [0x1f, 0x8b], "{trigger:?}: gzip begins with these bytes");
    }
}

/// The live stream has no end, and Lambda takes only whole answers, so each answer is a part of the stream.
#[tokio::test]
async fn the_live_stream_comes_in_parts() {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    let started = Instant::now();
    let first = lambda.ask(Trigger::FunctionUrl, &Request::get("/api/v2/events")).await;
    first.expect(200);
    assert!(started.elapsed() < Duration::from_secs(20), "the part ends");
    let id = first.text.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id to resume from");
    let create = Request::new("POST", "/api/v1/users").json(&user("John", "john@example.com"));
    lambda.ask(Trigger::FunctionUrl, &create).await.expect(201);
    let rest = Request::get("/api/v2/events").header("last-event-id", id);
    until("the event arrives", Duration::from_secs(20), async || {
        let rest = lambda.ask(Trigger::FunctionUrl, &rest).await;
        let data = rest.text.lines().find_map(|line| line.strip_prefix("data: "));
        data.is_some_and(|data| data.contains("john@example.com"))
    })
    .await;
}

/// Lambda bounds an answer, and a part of an export would be of no use.
#[tokio::test]
async fn there_is_no_export() {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    let refused = lambda.ask(Trigger::HttpApi, &Request::get("/api/v2/users:export")).await;
    refused.problem(404, "route_not_found");
}

/// The function records an event with each change, and a replica that runs all the time delivers it.
#[tokio::test]
async fn a_replica_tells_the_events_of_a_function() {
    let vhost = Vhost::fresh();
    let consumer = Consumer::of(&["#"], vhost.url()).await;
    let app = App::start_with(Db::Postgres, &[("AMQP_URL", vhost.url())]).await;
    let mut stream = LiveStream::open(&app).await;
    let lambda = Lambda::start(&app.database).await;
    let create = Request::new("POST", "/api/v1/users").json(&user("John", "john@example.com"));
    lambda.ask(Trigger::HttpApi, &create).await.expect(201);
    assert_eq!(stream.next().await.expect("an event").name, "user.created");
    let deliveries = consumer.until("the event arrives", |deliveries| !deliveries.is_empty()).await;
    assert_eq!(deliveries[0].routing_key, "user.created");
}

/// The database may have closed the connections while the function was frozen.
#[tokio::test]
async fn lost_connections_are_opened_again() {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    for number in 0..5 {
        let name = format!("user{number}");
        let create = Request::new("POST", "/api/v1/users").json(&user(&name, &format!("{name}@example.com")));
        lambda.ask(Trigger::HttpApi, &create).await.expect(201);
        database.break_connections();
        lambda.ask(Trigger::HttpApi, &Request::get(&format!("/api/v1/users/{}", number + 1))).await.expect(200);
        database.break_connections();
    }
}

#[tokio::test]
async fn strangers_are_counted_by_the_address_that_lambda_tells() {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start_with(&database, &[("RATE_LIMIT", "1"), ("RATE_BURST", "2")]).await;
    let stranger = Request::anonymous("GET", "/api/v2/users");
    for (number, trigger) in Trigger::ALL.into_iter().enumerate() {
        let status =
            async |client: &str| lambda.invoke(&trigger.event_from(&stranger, client)).await.1["statusCode"].clone();
        let client = format!("192.0.2.{number}");
        until("the client is refused", Duration::from_secs(20), async || status(&client).await == 429).await;
        assert_eq!(status(&format!("198.51.100.{number}")).await, 401, "{trigger:?}: another client");
    }
}

/// The function has no time to send spans after its answer.
#[tokio::test]
async fn spans_are_sent_before_the_answer() {
    let (otlp, database) = (Otlp::start(), Db::Postgres.fresh());
    let vars = [("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let lambda = Lambda::start_with(&database, &vars).await;
    // Spans that a slow machine does not send in time go with the next answer.
    until("spans arrive with an answer", Duration::from_secs(20), async || {
        let before = otlp.heads().len();
        lambda.ask(Trigger::HttpApi, &Request::get("/api/v2/users")).await.expect(200);
        otlp.heads().len() > before
    })
    .await;
}

/// The state that a frozen process knows is old, so it checks the database before it answers.
#[tokio::test]
async fn it_is_ready_at_once_after_a_pause() {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    for path in ["/ready", "/api/v2/events", "/api/v2/users"] {
        lambda.ask(Trigger::LoadBalancer, &Request::get(path)).await.expect(200);
        lambda.signal("STOP");
        // Longer than the last check of the database counts.
        sleep(Duration::from_secs(4)).await;
        lambda.signal("CONT");
        lambda.ask(Trigger::LoadBalancer, &Request::get(path)).await.expect(200);
    }
}

/// The network may also have dropped the connections silently.
#[tokio::test]
async fn connections_from_before_a_pause_are_not_used() {
    let database = Db::Postgres.fresh();
    let mut url = Url::parse(database.url()).unwrap();
    let upstream = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let network = Forgetful::before(upstream).await;
    url.set_port(Some(network.port())).unwrap();
    let lambda = Lambda::start_with(&database, &[("DATABASE_URL", url.as_str())]).await;
    for number in 0..2 {
        let create = Request::new("POST", "/api/v1/users").json(&user("John", &format!("john{number}@example.com")));
        lambda.ask(Trigger::HttpApi, &create).await.expect(201);
        lambda.signal("STOP");
        network.forget();
        // Longer than the service trusts an idle connection.
        sleep(Duration::from_secs(11)).await;
        lambda.signal("CONT");
    }
    lambda.ask(Trigger::HttpApi, &Request::get("/api/v1/users/2")).await.expect(200);
}

#[tokio::test]
async fn a_strange_request_is_answered_as_http_does() {
    let app = App::start(Db::Postgres).await;
    let lambda = Lambda::start(&app.database).await;
    let status = async |event: Value| lambda.invoke(&event).await.1["statusCode"].clone();
    for trigger in Trigger::ALL {
        for (host, expected) in [("x:99999", 400), ("[", 400), ("a b", 400), ("", 200)] {
            let list = Request::get("/api/v2/users").header("host", host);
            assert_eq!(status(trigger.event(&list)).await, expected, "{trigger:?}: {host}");
        }
        let mut broken = trigger.event(&Request::new("POST", "/api/v2/users"));
        broken["isBase64Encoded"] = true.into();
        broken["body"] = "no base64!".into();
        assert_eq!(status(broken).await, 400, "{trigger:?}");
        let mut bare = trigger.event(&Request::anonymous("GET", "/health"));
        for part in ["headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters", "body"]
        {
            bare[part] = Value::Null;
        }
        assert_eq!(status(bare).await, 200, "{trigger:?}");
    }
    let mut raw = Trigger::HttpApi.event(&Request::get("/api/v2/users"));
    for (query, expected) in [("page_size=<", 400), ("name_prefix=a b", 200), ("name_prefix=é|\"", 200), ("%", 400)] {
        raw["rawQueryString"] = query.into();
        assert_eq!(status(raw.clone()).await, expected, "{query}");
    }
}

/// Two tokens count as none, even if one is valid.
#[tokio::test]
async fn a_repeated_header_is_not_one() {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    let list = Request::get("/api/v2/users");
    let good = format!("Bearer {}", *TOKEN);
    for both in [[good.as_str(), "Bearer other"], ["Bearer other", good.as_str()]] {
        let mut gateway = Trigger::RestApi.event(&list);
        gateway["multiValueHeaders"]["authorization"] = json!(both);
        let mut balancer = Trigger::LoadBalancer.event(&list);
        balancer["multiValueHeaders"] = json!({ "authorization": both });
        balancer["headers"] = Value::Null;
        let mut url = Trigger::FunctionUrl.event(&list);
        url["headers"]["authorization"] = both.join(",").into();
        for event in [gateway, balancer, url] {
            assert_eq!(lambda.invoke(&event).await.1["statusCode"], 401, "{event}");
        }
    }
}

#[tokio::test]
async fn what_is_no_request_is_an_error_and_nothing_more() {
    let database = Db::Postgres.fresh();
    let lambda = Lambda::start(&database).await;
    for event in [json!({}), json!({ "source": "aws.events" }), json!([1]), json!({ "requestContext": {} })] {
        let (_, answer) = lambda.invoke(&event).await;
        assert_eq!(answer["errorType"], "NoRequest", "{answer}");
    }
    lambda.ask(Trigger::HttpApi, &Request::get("/api/v2/users")).await.body(200);
}

/// The function starts without a database, which may come back before the next request.
#[tokio::test]
async fn without_a_database_requests_are_refused() {
    let lambda = Lambda::start_with(&Db::Postgres.fresh(), &[("DATABASE_URL", "postgres://127.0.0.1:1/none")]).await;
    let refused = lambda.ask(Trigger::HttpApi, &Request::get("/api/v2/users")).await;
    refused.problem(503, "unavailable");
    lambda.ask(Trigger::HttpApi, &Request::anonymous("GET", "/health")).await.expect(200);
}

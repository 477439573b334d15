//! Limits on the size and the duration of a request.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method, RequestBuilder};
use rstest::rstest;

use crate::support::{Answered, App, Db, Raw, Server, Strict, TOKEN, until, user};

const LIMIT: usize = 64 * 1024;
const ROUTES: [(&str, &str); 5] = [
    ("POST", "/api/v1/users"),
    ("PUT", "/api/v1/users/1"),
    ("POST", "/api/v2/users"),
    ("PUT", "/api/v2/users/1"),
    ("PATCH", "/api/v2/users/1"),
];

/// A valid user followed by spaces, so that only the length can be wrong.
fn body_of(length: usize) -> String {
    let jane = user("Jane", "jane@example.com").to_string();
    format!("{jane}{}", " ".repeat(length - jane.len()))
}

fn send(app: &App, (method, path): (&str, &str), body: impl Into<Body>) -> RequestBuilder {
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let method: Method = method.parse().expect("a method");
    app.request(method, path).header(CONTENT_TYPE, content_type).body(body)
}

async fn is_too_large(app: &App, route: (&str, &str), request: RequestBuilder) {
    let answer = request.answer().await;
    assert_eq!(answer.status, 413, "{route:?}: {answer:?}");
    if route.1.starts_with("/api/v1") {
        answer.error(413);
    } else {
        answer.problem(413, "body_too_large");
    }
    app.get("/health").answer().await.expect(200);
}

#[rstest]
#[tokio::test]
async fn a_body_of_64_kib_is_taken(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "jane@example.com").await;
    for route in ROUTES.into_iter().filter(|(method, _)| *method != "POST") {
        send(&app, route, body_of(LIMIT)).answer().await.expect(200);
    }
    app.delete("/api/v1/users/1").answer().await.empty(204);
    send(&app, ROUTES[2], body_of(LIMIT)).answer().await.expect(201);
}

#[tokio::test]
async fn one_byte_more_is_not() {
    let app = App::start(Db::Sqlite).await;
    app.create("John", "john@example.com").await;
    let before = app.everyone().await;
    for route in ROUTES {
        is_too_large(&app, route, send(&app, route, body_of(LIMIT + 1))).await;
    }
    assert_eq!(app.everyone().await, before);
}

#[tokio::test]
async fn a_length_that_is_not_announced_is_counted() {
    let app = App::start(Db::Sqlite).await;
    for path in ["/api/v1/users", "/api/v2/users"] {
        let mut raw = Raw::connect(app.address());
        raw.write(&format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            *TOKEN
        ));
        raw.write(&format!("{:x}\r\n{}\r\n0\r\n\r\n", LIMIT + 1, body_of(LIMIT + 1)));
        let head = raw.read_head();
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    }
    assert!(app.everyone().await.is_empty());
}

#[tokio::test]
async fn the_limit_is_a_setting() {
    let app = App::start_with(Db::Sqlite, &[("MAX_BODY_BYTES", "1000")]).await;
    send(&app, ROUTES[2], body_of(1000)).answer().await.expect(201);
    is_too_large(&app, ROUTES[2], send(&app, ROUTES[2], body_of(1001))).await;
}

#[rstest]
#[case::one_header(1, 20_000)]
#[case::many_headers(50, 400)]
#[tokio::test]
async fn a_head_that_is_too_large_is_431(#[case] headers: usize, #[case] length: usize) {
    let app = App::start(Db::Sqlite).await;
    let value = "x".repeat(length);
    for (path, v1) in [("/api/v1/users", true), ("/api/v2/users", false), ("/health", false)] {
        let request = (0..headers).fold(app.get(path), |request, at| request.header(format!("x-{at}"), &value));
        let answer = request.answer().await;
        if v1 {
            answer.error(431);
        } else {
            answer.problem(431, "head_too_large");
        }
    }
    let target = format!("/api/v2/users?name_prefix={}", "x".repeat(20_000));
    app.get(&target).answer().await.expect(431);
    app.get("/api/v2/users").header("x-0", "x".repeat(15_000)).answer().await.expect(200);
}

/// A head at the limit and one beyond it, complete or not. The service answers without waiting for the rest of the
/// head.
#[rstest]
#[tokio::test]
async fn a_head_is_431_from_the_first_byte_too_many(#[values("/api/v1/users", "/api/v2/users", "/health")] path: &str) {
    const LIMIT: usize = 1000;
    let app = App::start_with(Db::Sqlite, &[("MAX_HEAD_BYTES", LIMIT.to_string().as_str())]).await;
    let of = |bytes: usize| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nx: ", *TOKEN);
        format!("{head}{}", "x".repeat(bytes - head.len()))
    };
    let mut client = Strict::connect(app.address());
    client.write(&format!("{}\r\n\r\n", of(LIMIT - 4)));
    assert_eq!(client.answer_to("GET").unwrap().status, 200);
    let target = format!("GET {path}/{}", "x".repeat(LIMIT));
    for head in [format!("{}\r\n\r\n", of(LIMIT - 3)), of(LIMIT), of(LIMIT + 1), of(10 * LIMIT), target] {
        let mut client = Strict::connect(app.address());
        client.write(&head);
        let answer = client.answer_to("GET").unwrap();
        assert_eq!(answer.status, 431, "{answer:?}");
        let said = if path.starts_with("/api/v1") {
            r#"{"error":"the head has more than 1000 bytes"}"#
        } else {
            "head_too_large"
        };
        assert!(answer.body.contains(said) && answer.header("x-request-id").is_some(), "{answer:?}");
    }
}

/// These heads exceed actix's own limits, or have a method without an end.
#[rstest]
#[case::headers(format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "x: x\r\n".repeat(100)))]
#[case::method("x".repeat(140_000))]
#[tokio::test]
async fn a_head_that_is_far_too_large_is_refused_in_short(#[case] head: String) {
    let app = App::start(Db::Sqlite).await;
    let mut client = Strict::connect(app.address());
    client.write(&head);
    let answer = client.answer_to("GET").unwrap();
    assert_eq!((answer.status, answer.closes()), (431, true), "{answer:?}");
    client.end().unwrap();
    app.get("/health").answer().await.expect(200);
}

#[tokio::test]
async fn a_body_that_trickles_is_408() {
    let app = App::start_with(Db::Sqlite, &[("BODY_TIMEOUT", "500ms")]).await;
    for (path, json) in [("/api/v1/users", "application/json"), ("/api/v2/users", "application/problem+json")] {
        let begun = Instant::now();
        let mut raw = Raw::begin_post(app.address(), path, 1000);
        // Bytes keep arriving, but the timeout applies to the whole body.
        while begun.elapsed() < Duration::from_millis(900) && raw.try_write(" ") {
            std::thread::sleep(Duration::from_millis(50));
        }
        let head = raw.read_head().to_lowercase();
        assert!(head.starts_with("http/1.1 408 "), "{head}");
        assert!(head.contains(json) && head.contains("x-request-id: "), "{head}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    assert!(app.everyone().await.is_empty());
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let app = App::start_with(Db::Sqlite, &[("HEAD_TIMEOUT", "500ms")]).await;
    let begun = Instant::now();
    let mut raw = Raw::connect(app.address());
    raw.write("GET /api/v2/users HTTP/1.1\r\nHost: ");
    raw.read_to_end();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    app.get("/health").answer().await.expect(200);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let app = App::start_with(Db::Sqlite, &[("KEEP_ALIVE", "500ms")]).await;
    let mut stream = TcpStream::connect(app.address()).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (begun, mut answer) = (Instant::now(), String::new());
    stream.read_to_string(&mut answer).expect("an orderly end");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// Containers start with a low soft limit.
#[tokio::test]
async fn it_may_have_as_many_files_open_as_the_system_lets_it() {
    let database = Db::Sqlite.fresh();
    let server = Server::listening(database.program().with_open_files(64, 4096).env("MAX_CONNECTIONS", "4000"));
    server.ready().await;
    assert_eq!(server.metrics().await.value("process_max_fds"), 4096.0);
    assert!(!server.log().contains("files may be open"), "{}", server.log());
    let server = Server::listening(database.program().with_open_files(64, 4096).env("MAX_CONNECTIONS", "4090"));
    server.logs("no more than 4096 files may be open").await;
}

/// If the allocator kept the memory of one peak, the next peak elsewhere would end the process in its container.
#[tokio::test]
async fn memory_that_a_peak_took_is_given_back() {
    const PEAK: usize = 600;
    let app = App::start_with(Db::Sqlite, &[("BODY_TIMEOUT", "1m"), ("ACCESS_LOG", "off")]).await;
    let before = app.memory();
    let begin = |_| {
        let mut connection = Raw::begin_post(app.address(), "/api/v2/users", LIMIT);
        connection.write(&" ".repeat(LIMIT - 1));
        connection
    };
    let connections = Vec::from_iter((0..PEAK).map(begin));
    until("all bodies have arrived", Duration::from_secs(20), async || app.memory() > before + PEAK * LIMIT).await;
    let taken = app.memory() - before;
    drop(connections);
    until("at most a third is still in use", Duration::from_secs(40), async || app.memory() < before + taken / 3).await;
}

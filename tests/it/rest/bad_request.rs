//! Invalid ids, paths and queries.

use reqwest::RequestBuilder;
use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, Db, Raw, TOKEN, user};

const BAD_IDS: [&str; 16] = [
    "0",
    "-1",
    "9223372036854775808",
    "99999999999999999999999999",
    "abc",
    "1.0",
    "1e3",
    "0x1",
    "+1",
    "%201",
    "1%20",
    "1%00",
    "%00",
    "1%2F2",
    "%FF",
    "%D9%A1",
];

fn every_request(app: &App, path: &str) -> Vec<RequestBuilder> {
    let jane = user("Jane", "jane@example.com");
    let mut requests = vec![app.get(path), app.put(path, &jane), app.delete(path)];
    if path.starts_with("/api/v2") {
        requests.push(app.patch(path, &json!({ "name": "Jane" })));
    }
    requests
}

#[rstest]
#[tokio::test]
async fn an_id_is_a_positive_integer_of_64_bits(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    let before = app.everyone().await;
    for id in BAD_IDS {
        for request in every_request(&app, &format!("/api/v1/users/{id}")) {
            let answer = request.answer().await;
            assert_eq!(answer.status, 400, "{id}: {answer:?}");
            answer.error(400);
        }
        for request in every_request(&app, &format!("/api/v2/users/{id}")) {
            let answer = request.answer().await;
            assert_eq!(answer.status, 400, "{id}: {answer:?}");
            answer.problem(400, "invalid_id");
        }
    }
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn nothing_that_can_be_asked_is_a_5xx(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for path in [
        "/%00",
        "/%FF",
        "/..%2f..%2fetc/passwd",
        "//",
        "/api/v2//users",
        "/api/v2/users?%00",
        "/api/v2/users?page_token=",
        "/api/v2/users?email=a%00@b.co",
        "/api/v2/users?name_prefix=",
        "/api/v2/users?name_prefix=%00",
        "/api/v1/users?%FF",
        "/docs/../health",
        "/docs/%2e%2e/Cargo.toml",
        "/docs/nothing.js",
        "/live/",
        "/live/%2e%2e/Cargo.toml",
        "/live/nothing.js",
    ] {
        let answer = app.get(path).answer().await;
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
    let long = format!("/api/v2/users?name_prefix={}", "a".repeat(20_000));
    assert!((400..500).contains(&app.get(&long).answer().await.status));
}

#[rstest]
#[tokio::test]
async fn nothing_that_can_be_sent_ends_the_server(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for text in [
        "nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /api/v2/users/1 HTTP/1.1\r\nIf-None-Match: \"\u{e9}\"\r\nHost: x\r\nConnection: close\r\n\r\n",
        "POST /api/v2/users HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /api/v2/users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nzz\r\n",
        "PUT /api/v2/users/1 HTTP/1.1\r\nHost: x\r\nIf-Match: \u{1}\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let mut raw = Raw::connect(app.address());
        raw.write(&text.replacen("Host: x", &format!("Host: x\r\nAuthorization: Bearer {}", *TOKEN), 1));
        let head = raw.read_head();
        assert!(!head.starts_with("HTTP/1.1 5"), "{text:?}: {head}");
    }
    app.create("John", "john@example.com").await;
}

/// If the service read such bytes as U+FFFD, the query would mean something else, or list everybody.
#[rstest]
#[case("%ff")]
#[case("%C3")]
#[case("a%80b")]
#[case("%c0%80")]
#[case("%ed%a0%80")]
#[case("%f5%80%80%80")]
#[tokio::test]
async fn a_query_that_is_no_utf8_is_refused(#[case] bytes: &str) {
    let app = App::start(Db::Sqlite).await;
    for (path, names) in [
        ("/api/v2/users", &["page_size", "page_token", "email", "name_prefix", "include_total"][..]),
        ("/api/v2/events", &["type"]),
        ("/api/v1/users", &["page", "limit"]),
    ] {
        let values = names.iter().map(|name| format!("{path}?{name}={bytes}"));
        for target in values.chain([format!("{path}?{bytes}=1"), format!("{path}?{bytes}")]) {
            let answer = app.get(&target).answer().await;
            let detail = if path.contains("v1") {
                answer.error(400).json()["error"].clone()
            } else {
                answer.problem(400, "invalid_query")["detail"].clone()
            };
            assert!(detail.as_str().unwrap().contains("UTF-8"), "{target}: {detail}");
        }
    }
    app.get(&format!("/api/v2/users/{bytes}")).answer().await.problem(400, "invalid_id");
    app.get("/api/v2/users?name_prefix=%EF%BF%BD").answer().await.expect(200);
}

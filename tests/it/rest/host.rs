//! The host of a request (RFC 9112, 3.2): exactly one, except in HTTP/1.0, and a possible one.

use rstest::rstest;

use crate::support::{App, Db, Strict, Whole};

const GOOD: [&str; 15] = [
    "localhost",
    "localhost:3000",
    "localhost:",
    "LOCALHOST.example.com.",
    "a_b-c~d.example.com:80",
    "xn--bcher-kva.example",
    "b%C3%BCcher.example",
    "127.0.0.1",
    "127.0.0.1:65535",
    "[::1]",
    "[::1]:3000",
    "[2001:DB8::ffff:192.0.2.1]:00080",
    // The value for a target without an authority.
    "",
    "   localhost   ",
    "!$&'()*+,;=",
];

const BAD: [&str; 30] = [
    "user@localhost",
    "user:secret@localhost",
    "local host",
    "local\thost",
    "localhost,other host",
    "localhost:http",
    "localhost:-1",
    "localhost:+1",
    "localhost: 1",
    "localhost:65536",
    "localhost:18446744073709551696",
    "localhost:80:80",
    "::1",
    "[::1",
    "::1]",
    "[]",
    "[::1]3000",
    "[::1]:http",
    "[localhost]",
    "[fe80::1%25eth0]",
    "http://localhost",
    "localhost/",
    "localhost?x",
    "localhost#x",
    "local\\host",
    "<localhost>",
    "\"localhost\"",
    "local%host",
    "local%0",
    "b\u{fc}cher.example",
];

fn ask(app: &App, request: &str) -> Whole {
    let mut client = Strict::connect(app.address());
    client.write(request);
    client.answer_to("GET").unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

fn is_refused(answer: &Whole, path: &str, about: &str) {
    assert_eq!(answer.status, 400, "{about:?}: {answer:?}");
    let body: serde_json::Value =
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    let json = if path.starts_with("/api/v1/") {
        assert!(body["error"].as_str().is_some_and(|text| text.contains("host")), "{about:?}: {answer:?}");
        "application/json"
    } else {
        assert_eq!(body["code"], "invalid_header", "{about:?}: {answer:?}");
        "application/problem+json"
    };
    assert_eq!(answer.header("content-type"), Some(json), "{about:?}: {answer:?}");
    assert!(answer.header("x-request-id").is_some(), "{about:?}: {answer:?}");
}

#[tokio::test]
async fn one_that_can_be_is_taken() {
    let app = App::start(Db::Sqlite).await;
    for host in GOOD {
        assert_eq!(ask(&app, &format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n")).status, 200, "{host:?}");
    }
}

#[rstest]
#[tokio::test]
async fn one_that_cannot_be_is_400(
    #[values("/health", "/api/v1/users", "/api/v2/users", "/nowhere")] path: &str,
    #[values("HTTP/1.1", "HTTP/1.0")] version: &str,
) {
    let app = App::start(Db::Sqlite).await;
    for host in BAD {
        is_refused(&ask(&app, &format!("GET {path} {version}\r\nHost: {host}\r\n\r\n")), path, host);
    }
}

/// actix itself answers such a head, without details.
#[tokio::test]
async fn none_or_two_are_400() {
    let app = App::start(Db::Sqlite).await;
    for hosts in ["", "Host: localhost\r\nHost: localhost\r\n", "Host: localhost\r\nx: y\r\nhost: other\r\n"] {
        let mut client = Strict::connect(app.address());
        client.write(&format!("GET /health HTTP/1.1\r\n{hosts}\r\n"));
        let answer = client.answer_to("GET").unwrap();
        assert_eq!((answer.status, answer.closes()), (400, true), "{hosts:?}: {answer:?}");
        client.end().unwrap();
    }
    assert_eq!(ask(&app, "GET /health HTTP/1.0\r\n\r\n").status, 200);
}

/// The host in the target counts, but an impossible `Host` is still an error (RFC 9112, 3.2.2).
#[tokio::test]
async fn a_target_may_name_it() {
    let app = App::start(Db::Sqlite).await;
    let ask = |target: &str, host: &str| ask(&app, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    for target in
        ["http://localhost/health", "http://127.0.0.1:3000/health", "https://[::1]/health", "HTTP://other/health"]
    {
        assert_eq!(ask(target, "localhost").status, 200, "{target}");
        is_refused(&ask(target, "local host"), "/health", target);
    }
    for target in ["http://user@localhost/health", "http://user:secret@localhost/api/v1/users"] {
        is_refused(&ask(target, "localhost"), target.split_once("localhost").unwrap().1, target);
    }
}

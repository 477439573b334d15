//! The service upgrades no connection: it treats a request for an upgrade as an ordinary one (RFC 9110, 7.8).

use rstest::rstest;

use crate::support::{App, Db, Strict, TOKEN, Whole};

const FIELDS: [&str; 5] = [
    "Upgrade: websocket\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n",
];

fn post(fields: &str, body: &str) -> String {
    format!(
        "POST /api/v2/users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         {fields}\r\n{body}",
        *TOKEN
    )
}

fn user(number: usize) -> String {
    format!(r#"{{"name":"Ada","email":"ada{number}@example.com"}}"#)
}

fn goes_on(answer: &Whole) {
    assert_eq!(answer.header("connection"), None, "{answer:?}");
    assert_eq!(answer.header("upgrade"), None, "{answer:?}");
}

#[rstest]
#[tokio::test]
async fn a_body_is_as_long_as_it_says(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("BODY_TIMEOUT", "1m")]).await;
    for (at, fields) in FIELDS.iter().enumerate() {
        let mut client = Strict::connect(app.address());
        let (sized, chunked) = (user(2 * at), user(2 * at + 1));
        client.write(&post(&format!("{fields}Content-Length: {}\r\n", sized.len()), &sized));
        let chunks = format!("{:x}\r\n{chunked}\r\n0\r\n\r\n", chunked.len());
        client.write(&post(&format!("{fields}Transfer-Encoding: chunked\r\n"), &chunks));
        client.write(&format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
        for status in [201, 201, 200] {
            let answer = client.answer_to("POST").unwrap_or_else(|error| panic!("{fields:?}: {error}"));
            assert_eq!(answer.status, status, "{fields:?}: {answer:?}");
            goes_on(&answer);
        }
        client.write("GET /health HTTP/1.0\r\n\r\n");
        assert_eq!(client.answer_to("GET").unwrap().status, 200, "{fields:?}");
        client.end().unwrap();
    }
    assert_eq!(app.everyone().await.len(), 2 * FIELDS.len());
}

/// The bytes behind the request may be meant for the other end of the requested tunnel.
#[tokio::test]
async fn there_is_no_tunnel_and_nothing_is_taken_from_what_follows() {
    let app = App::start(Db::Sqlite).await;
    let body = user(1);
    let follows = post(&format!("Content-Length: {}\r\n", body.len()), &body);
    for fields in ["", "Content-Length: 0\r\n", "Content-Length: 2\r\n\r\n{}"] {
        let mut client = Strict::connect(app.address());
        client.write(&format!("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n{fields}\r\n{follows}"));
        let answer = client.answer_to("CONNECT").unwrap_or_else(|error| panic!("{fields:?}: {error}"));
        assert!((400..500).contains(&answer.status) && answer.closes(), "{fields:?}: {answer:?}");
        client.end().unwrap_or_else(|error| panic!("{fields:?}: {error}"));
    }
    assert!(app.everyone().await.is_empty());
}

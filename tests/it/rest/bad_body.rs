//! Bodies that are not JSON, have another media type, or hold no user.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::Value;

use crate::support::{Answered, App, Db, user};

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The requests with a body, and its media type.
const V1: [(&str, &str, &str); 2] = [("POST", "/api/v1/users", JSON), ("PUT", "/api/v1/users/1", JSON)];
const V2: [(&str, &str, &str); 3] =
    [("POST", "/api/v2/users", JSON), ("PUT", "/api/v2/users/1", JSON), ("PATCH", "/api/v2/users/1", MERGE_PATCH)];

fn malformed() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "{",
        "}",
        "nonsense",
        r#"{"name":}"#,
        r#"{"name":"John",}"#,
        r#"{name:"John"}"#,
        r"{'name':'John'}",
        r#"{"name":"John"} {}"#,
        r#"{"name":"John" "email":"a@b.co"}"#,
        r#"{"name":"John"#,
        r#""\ud800""#,
        r#"{"name":"\ud800","email":"a@b.co"}"#,
        r#"{"name":"\x","email":"a@b.co"}"#,
        "{\"name\":\"a\u{1}b\",\"email\":\"a@b.co\"}",
        r#"{"name":NaN}"#,
        r#"{"name":01}"#,
        "name=John&email=a@b.co",
        "<user/>",
        "\u{feff}{}",
        // The same field twice, once escaped.
        r#"{"name":"John","name":"Jane","email":"a@b.co"}"#,
        r#"{"name":"John","email":"a@b.co","email":"a@b.co"}"#,
        r#"{"name":"John","n\u0061me":"Jane","email":"a@b.co"}"#,
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.push(b"{\"name\":\"\xff\",\"email\":\"a@b.co\"}".to_vec());
    bodies.push(b"{\"name\":\"\xed\xa0\x80\",\"email\":\"a@b.co\"}".to_vec());
    bodies.push(b"\x1f\x8b\x08\x00".to_vec());
    bodies.push("[".repeat(20_000).into_bytes());
    bodies.push("{\"name\":".repeat(5_000).into_bytes());
    bodies
}

fn send(app: &App, (method, path, content_type): (&str, &str, &str), body: Vec<u8>) -> RequestBuilder {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    app.request(method, path).header(CONTENT_TYPE, content_type).body(body)
}

async fn with_john(db: Db) -> (App, Vec<Value>) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    let everyone = app.everyone().await;
    (app, everyone)
}

#[tokio::test]
async fn malformed_json_is_400() {
    let (app, before) = with_john(Db::Sqlite).await;
    for body in malformed() {
        let text = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        for route in V1 {
            let answer = send(&app, route, body.clone()).answer().await;
            assert_eq!(answer.status, 400, "{route:?} {text}: {answer:?}");
            answer.error(400);
        }
        for route in V2 {
            let answer = send(&app, route, body.clone()).answer().await;
            assert_eq!(answer.status, 400, "{route:?} {text}: {answer:?}");
            answer.problem(400, "malformed_body");
        }
    }
    assert_eq!(app.everyone().await, before);
}

#[tokio::test]
async fn json_that_is_no_object_is_no_user() {
    let (app, before) = with_john(Db::Sqlite).await;
    for body in [
        "null",
        "true",
        "7",
        "-1.5",
        "\"John\"",
        "[]",
        r#"["Jane"]"#,
        r#"["Jane","jane@example.com"]"#,
        "[{\"name\":\"John\",\"email\":\"a@b.co\"}]",
    ] {
        for route in V1 {
            send(&app, route, body.into()).answer().await.error(400);
        }
        for route in V2 {
            let answer = send(&app, route, body.into()).answer().await;
            assert_eq!(answer.status, 422, "{route:?} {body}: {answer:?}");
            assert_eq!(answer.invalid_fields(), [""], "{route:?} {body}");
        }
    }
    assert_eq!(app.everyone().await, before);
}

#[tokio::test]
async fn another_content_type_is_415() {
    let (app, before) = with_john(Db::Sqlite).await;
    let body = user("Jane", "jane@example.com").to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", "", "*/*", ";"]
    {
        for (method, path, _) in V1 {
            let answer = send(&app, (method, path, content_type), body.clone().into()).answer().await;
            assert_eq!(answer.status, 415, "{method} {path} {content_type}: {answer:?}");
            answer.error(415);
        }
        for (method, path, _) in V2 {
            let answer = send(&app, (method, path, content_type), body.clone().into()).answer().await;
            assert_eq!(answer.status, 415, "{method} {path} {content_type}: {answer:?}");
            answer.problem(415, "unsupported_media_type");
        }
    }
    for (method, path, _) in V2.into_iter().filter(|(_, _, content_type)| *content_type == JSON) {
        send(&app, (method, path, MERGE_PATCH), body.clone().into())
            .answer()
            .await
            .problem(415, "unsupported_media_type");
    }
    assert_eq!(app.everyone().await, before);
}

#[tokio::test]
async fn no_content_type_is_415() {
    let (app, before) = with_john(Db::Sqlite).await;
    let body = user("Jane", "jane@example.com").to_string();
    for (method, path, _) in V1 {
        app.request(method.parse().unwrap(), path).body(body.clone()).answer().await.error(415);
    }
    for (method, path, _) in V2 {
        let answer = app.request(method.parse().unwrap(), path).body(body.clone()).answer().await;
        answer.problem(415, "unsupported_media_type");
    }
    assert_eq!(app.everyone().await, before);
}

/// An answer asks for no encoding by `identity` (RFC 9110, 8.4.1 and 12.5.3), so the service accepts that value.
#[rstest]
#[case("identity", true)]
#[case("Identity", true)]
#[case("identity, identity", true)]
#[case("", true)]
#[case("gzip", false)]
#[case("identity, gzip", false)]
#[case("x-identity", false)]
#[tokio::test]
async fn a_body_is_not_encoded(#[case] encoding: &str, #[case] is_taken: bool) {
    let (app, _) = with_john(Db::Sqlite).await;
    for (number, request) in V1.into_iter().chain(V2).enumerate() {
        let body = format!(r#"{{"name":"Jane","email":"jane{number}@example.com"}}"#);
        let answer = send(&app, request, body.into_bytes()).header("content-encoding", encoding).answer().await;
        match (is_taken, request.0) {
            (true, "POST") => answer.expect(201),
            (true, _) => answer.expect(200),
            (false, _) => answer.expect(415),
        };
        assert!(is_taken || answer.header("accept-encoding") == "identity", "{answer:?}");
    }
}

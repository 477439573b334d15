//! Version 2: merge patches.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db};

const JOHN: &str = "/api/v2/users/1";

async fn with_john(db: Db) -> App {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app
}

#[rstest]
#[tokio::test]
async fn changes_what_it_names(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let patches = [
        (json!({ "name": " Johnny " }), "Johnny", "john@example.com"),
        (json!({ "email": "J@Example.com" }), "Johnny", "J@Example.com"),
        (json!({ "name": "Jo", "email": "jo@example.com" }), "Jo", "jo@example.com"),
        (json!({}), "Jo", "jo@example.com"),
    ];
    for (version, (patch, name, email)) in (2..).zip(patches) {
        let answer = app.patch(JOHN, &patch).answer().await;
        let patched = answer.body(200);
        let found = (&patched["version"], &patched["name"], &patched["email"]);
        assert_eq!(found, (&json!(version), &json!(name), &json!(email)), "{patch}");
        assert_eq!(answer.header("etag"), format!("\"{version}\""));
        assert_eq!(app.get(JOHN).answer().await.body(200), patched);
    }
}

#[rstest]
#[tokio::test]
async fn cannot_remove_a_field(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let before = app.everyone().await;
    let cases = [
        (json!({ "name": null }), vec!["/name"]),
        (json!({ "email": null }), vec!["/email"]),
        (json!({ "name": null, "email": null }), vec!["/email", "/name"]),
    ];
    for (patch, pointers) in cases {
        assert_eq!(app.patch(JOHN, &patch).answer().await.invalid_fields(), pointers, "{patch}");
    }
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn is_refused_as_a_whole_for_a_part(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let before = app.everyone().await;
    let cases = [
        (json!({ "name": "Johnny", "email": "nowhere" }), vec!["/email"]),
        (json!({ "name": "Johnny", "age": 7 }), vec!["/age"]),
        (json!({ "name": 7 }), vec!["/name"]),
        (json!({ "name": "", "email": [], "version": 9 }), vec!["/email", "/name", "/version"]),
        (json!({ "id": 2 }), vec!["/id"]),
    ];
    for (patch, pointers) in cases {
        assert_eq!(app.patch(JOHN, &patch).answer().await.invalid_fields(), pointers, "{patch}");
    }
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn is_an_object(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let before = app.everyone().await;
    for patch in [
        json!([]),
        json!(["Johnny", "johnny@example.com"]),
        json!([{ "name": "Johnny" }]),
        json!("Johnny"),
        json!(7),
        json!(true),
        Value::Null,
    ] {
        assert_eq!(app.patch(JOHN, &patch).answer().await.invalid_fields(), [""], "{patch}");
    }
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn has_a_media_type_of_its_own(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let before = app.everyone().await;
    for content_type in [Some("application/json"), Some("application/json-patch+json"), Some("text/plain"), None] {
        let mut patch = app.request(Method::PATCH, JOHN).body(r#"{"name":"Johnny"}"#);
        if let Some(content_type) = content_type {
            patch = patch.header(CONTENT_TYPE, content_type);
        }
        let refused = patch.answer().await;
        refused.problem(415, "unsupported_media_type");
        assert_eq!(refused.header("accept-patch"), "application/merge-patch+json", "{content_type:?}");
    }
    assert_eq!(app.everyone().await, before);

    let parameters = "application/merge-patch+json; charset=utf-8";
    app.patch(JOHN, &json!({})).header(CONTENT_TYPE, parameters).answer().await.body(200);
}

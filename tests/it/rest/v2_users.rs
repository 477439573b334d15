//! Version 2: one user at a time.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db, user};

fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().expect("a time");
    assert!(text.ends_with('Z'), "UTC is written Z: {text}");
    text.parse().unwrap_or_else(|error| panic!("RFC 3339: {text}: {error}"))
}

#[rstest]
#[tokio::test]
async fn a_created_user_is_complete(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let answer = app.post("/api/v2/users", &user("John", "john@example.com")).answer().await;
    let created = answer.body(201);
    assert_eq!((answer.header("location"), answer.header("etag")), ("/api/v2/users/1", r#""1""#));
    let (created_at, updated_at) = (&created["created_at"], &created["updated_at"]);
    let expected = json!({
        "id": 1, "name": "John", "email": "john@example.com", "version": 1,
        "created_at": created_at, "updated_at": updated_at,
    });
    assert_eq!(created, expected);
    assert_eq!(created_at, updated_at);
    assert!((Utc::now() - time(created_at)).abs() < TimeDelta::minutes(1), "{created_at}");

    let read = app.get("/api/v2/users/1").answer().await;
    assert_eq!((read.body(200), read.header("etag")), (created, r#""1""#), "a read returns the same times");
}

#[rstest]
#[tokio::test]
async fn every_put_raises_the_version_by_one(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut before = app.create("John", "john@example.com").await;
    for version in 2..=5 {
        // The second and the fourth change nothing, and still raise the version.
        let name = format!("John {}", version / 2);
        let answer = app.put("/api/v2/users/1", &user(&name, "john@example.com")).answer().await;
        let changed = answer.body(200);
        assert_eq!(changed["version"], version);
        assert_eq!(answer.header("etag"), format!("\"{version}\""));
        assert_eq!(changed["name"], name);
        assert_eq!(changed["created_at"], before["created_at"]);
        assert!(time(&changed["updated_at"]) >= time(&before["updated_at"]), "{changed} after {before}");
        assert_eq!(app.get("/api/v2/users/1").answer().await.body(200), changed);
        before = changed;
    }
    assert_ne!(before["updated_at"], before["created_at"]);
}

#[rstest]
#[tokio::test]
async fn a_deleted_user_is_gone(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app.delete("/api/v2/users/1").answer().await.empty(204);
    app.delete("/api/v2/users/1").answer().await.problem(404, "user_not_found");
    app.get("/api/v2/users/1").answer().await.problem(404, "user_not_found");
    assert!(app.everyone().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_missing_user_is_404(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for path in ["/api/v2/users/1", "/api/v2/users/9223372036854775807"] {
        app.get(path).answer().await.problem(404, "user_not_found");
        app.put(path, &user("John", "john@example.com")).answer().await.problem(404, "user_not_found");
        app.patch(path, &json!({ "name": "John" })).answer().await.problem(404, "user_not_found");
        app.delete(path).answer().await.problem(404, "user_not_found");
    }
    assert!(app.everyone().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_taken_email_is_409_in_any_case(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "John@Example.com").await;
    app.create("Élise", "Élise@example.com").await;
    let before = app.everyone().await;
    for email in ["John@Example.com", "john@example.com", "JOHN@EXAMPLE.COM", "élise@EXAMPLE.com"] {
        app.post("/api/v2/users", &user("Other", email)).answer().await.problem(409, "email_taken");
    }
    app.put("/api/v2/users/2", &user("Élise", "JOHN@example.COM")).answer().await.problem(409, "email_taken");
    app.patch("/api/v2/users/2", &json!({ "email": "JOHN@example.COM" })).answer().await.problem(409, "email_taken");
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn another_method_is_405_and_told_which_would_do(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    for (method, path, allow) in [
        (Method::PUT, "/api/v2/users", "GET, HEAD, POST"),
        (Method::POST, "/api/v2/users/1", "GET, HEAD, PUT, PATCH, DELETE"),
        (Method::from_bytes(b"BREW").unwrap(), "/api/v2/users/1", "GET, HEAD, PUT, PATCH, DELETE"),
        (Method::POST, "/health", "GET, HEAD"),
        (Method::DELETE, "/metrics", "GET, HEAD"),
    ] {
        let refused = app.request(method, path).answer().await;
        refused.problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), allow, "{path}");
    }
    assert_eq!(app.everyone().await.len(), 1);
}

#[rstest]
#[case("application/json")]
#[case("application/json; charset=utf-8")]
#[case("Application/JSON;charset=UTF-8")]
#[tokio::test]
async fn json_may_have_parameters(#[case] content_type: &str, #[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = user("John", "john@example.com");
    app.post("/api/v2/users", &john).header(CONTENT_TYPE, content_type).answer().await.body(201);
    app.put("/api/v2/users/1", &john).header(CONTENT_TYPE, content_type).answer().await.body(200);
}

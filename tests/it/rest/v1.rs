//! Version 1: one user at a time.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, Db, user};

#[rstest]
#[tokio::test]
async fn creates_reads_changes_and_deletes(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = json!({ "id": 1, "name": "John", "email": "john@example.com" });
    let created = app.post("/api/v1/users", &user("John", "john@example.com")).answer().await;
    assert_eq!(created.body(201), john);
    assert_eq!(created.header("location"), "/api/v1/users/1");
    assert_eq!(app.get("/api/v1/users/1").answer().await.body(200), john);

    let changed = app.put("/api/v1/users/1", &user("Johnny", "johnny@example.com")).answer().await.body(200);
    assert_eq!(changed, json!({ "id": 1, "name": "Johnny", "email": "johnny@example.com" }));
    assert_eq!(app.get("/api/v1/users/1").answer().await.body(200), changed);

    app.delete("/api/v1/users/1").answer().await.empty(204);
    app.get("/api/v1/users/1").answer().await.error(404);
    assert_eq!(app.get("/api/v1/users").answer().await.body(200), json!([]));
}

#[rstest]
#[tokio::test]
async fn a_missing_user_is_404(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for path in ["/api/v1/users/1", "/api/v1/users/9223372036854775807"] {
        app.get(path).answer().await.error(404);
        app.put(path, &user("John", "john@example.com")).answer().await.error(404);
        app.delete(path).answer().await.error(404);
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
    for email in ["John@Example.com", "john@example.com", "JOHN@EXAMPLE.COM", "élise@example.com"] {
        app.post("/api/v1/users", &user("Other", email)).answer().await.error(409);
    }
    app.put("/api/v1/users/2", &user("Élise", "JOHN@example.COM")).answer().await.error(409);
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn a_user_may_change_the_case_of_its_own_email(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    let changed = app.put("/api/v1/users/1", &user("John", "John@Example.COM")).answer().await.body(200);
    assert_eq!(changed["email"], "John@Example.COM");
    assert_eq!(app.get("/api/v1/users/1").answer().await.body(200), changed);
}

#[rstest]
#[tokio::test]
async fn names_are_trimmed_and_emails_kept_as_given(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let created = app.post("/api/v1/users", &user("  John \t Doe \n", "JoHn@eXample.Com")).answer().await;
    // A tab inside the name is a control character; a tab around it is trimmed.
    created.error(400);
    let created = app.post("/api/v1/users", &user(" \t John Doe \n", "JoHn@eXample.Com")).answer().await.body(201);
    assert_eq!((created["name"].as_str(), created["email"].as_str()), (Some("John Doe"), Some("JoHn@eXample.Com")));
    assert_eq!(app.get("/api/v1/users/1").answer().await.body(200), created);
}

#[rstest]
#[tokio::test]
async fn a_deleted_users_email_is_free_and_its_id_is_not(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let first = app.create("John", "john@example.com").await["id"].as_i64();
    app.delete("/api/v1/users/1").answer().await.empty(204);
    let second = app.create("John", "john@example.com").await["id"].as_i64();
    assert!(second > first, "{second:?} after {first:?}");
}

#[rstest]
#[tokio::test]
async fn both_versions_are_about_the_same_users(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.post("/api/v1/users", &user("John", "john@example.com")).answer().await.body(201);
    assert_eq!(app.get("/api/v2/users/1").answer().await.body(200)["version"], 1);
    app.put("/api/v1/users/1", &user("Johnny", "john@example.com")).answer().await.body(200);
    let changed = app.get("/api/v2/users/1").answer().await.body(200);
    assert_eq!((&changed["version"], &changed["name"]), (&json!(2), &json!("Johnny")));
    app.delete("/api/v2/users/1").answer().await.empty(204);
    app.get("/api/v1/users/1").answer().await.error(404);
}

#[rstest]
#[tokio::test]
async fn head_is_get_without_the_body(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    for path in ["/api/v1/users/1", "/api/v1/users", "/api/v2/users/1", "/api/v2/users?page_size=1"] {
        let (get, head) = (app.get(path).answer().await, app.head(path).answer().await);
        head.empty(200);
        for name in ["content-type", "etag", "link"] {
            assert_eq!(head.headers.get(name), get.headers.get(name), "{name} of {path}");
        }
    }
    app.head("/api/v1/users/2").answer().await.empty(404);
}

#[rstest]
#[tokio::test]
async fn another_method_is_405_and_told_which_would_do(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/users", "GET, HEAD, POST"),
        (Method::PATCH, "/api/v1/users/1", "GET, HEAD, PUT, DELETE"),
        (Method::POST, "/api/v1/users/1", "GET, HEAD, PUT, DELETE"),
        (Method::from_bytes(b"BREW").unwrap(), "/api/v1/users/1", "GET, HEAD, PUT, DELETE"),
    ] {
        let refused = app.request(method, path).answer().await;
        assert_eq!(refused.error(405).header("allow"), allow, "{path}");
    }
    app.get("/api/v1/nothing").answer().await.error(404);
    assert_eq!(app.everyone().await.len(), 1);
}

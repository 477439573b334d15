//! Idempotency keys: a write that carries one is executed once, however often it is sent.

use reqwest::RequestBuilder;
use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answer, Answered, App, Db, claims, token, user};

const KEY: &str = "idempotency-key";
const TOO_LONG: &str = match str::from_utf8(&[b'x'; 256]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

fn is_replay(answer: &Answer) -> bool {
    match answer.headers.get("idempotency-replayed") {
        None => false,
        Some(value) => {
            assert_eq!(value, "true");
            true
        }
    }
}

/// All of an answer but what says that it is a repetition.
fn content(answer: &Answer) -> (u16, String, Vec<Option<String>>) {
    let headers = ["location", "etag", "events-position", "content-type"]
        .map(|name| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned()));
    (answer.status, answer.text.clone(), headers.to_vec())
}

/// Sends a request twice. Returns the answer, which must be the same.
async fn twice(request: impl Fn() -> RequestBuilder) -> Answer {
    let first = request().answer().await;
    assert!(!is_replay(&first), "{first:?}");
    let second = request().answer().await;
    assert!(is_replay(&second), "{second:?}");
    assert_eq!(content(&first), content(&second));
    first
}

#[rstest]
#[tokio::test]
async fn every_write_is_executed_once(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values("/api/v1/users", "/api/v2/users")] users: &str,
) {
    let app = App::start(db).await;
    let john = format!("{users}/1");
    let created = twice(|| app.post(users, &user("John", "john@example.com")).header(KEY, "c")).await;
    assert_eq!((created.body(201)["id"].clone(), created.header("location")), (json!(1), john.as_str()));
    let put = twice(|| app.put(&john, &user("Jack", "jack@example.com")).header(KEY, "p")).await;
    assert_eq!(put.body(200)["name"], "Jack");
    if users.contains("v2") {
        assert_eq!(put.body(200)["version"], 2);
        let patched = twice(|| app.patch(&john, &json!({ "name": "Joe" })).header(KEY, "m")).await;
        assert_eq!(patched.body(200)["version"], 3);
    }
    twice(|| app.delete(&john).header(KEY, "d")).await.empty(204);
    // Later changes do not change what is stored.
    for (first, again) in [
        (&created, app.post(users, &user("John", "john@example.com")).header(KEY, "c")),
        (&put, app.put(&john, &user("Jack", "jack@example.com")).header(KEY, "p")),
    ] {
        assert_eq!(content(first), content(&again.answer().await));
    }
    assert_eq!(app.everyone().await, [Value::Null; 0]);
    let metrics = app.metrics().await;
    let changes = if users.contains("v2") { 2.0 } else { 1.0 };
    let counted = ["users_created_total", "users_updated_total", "users_deleted_total", "idempotency_replays_total"];
    assert_eq!(counted.map(|name| metrics.value(name)), [1.0, changes, 1.0, 4.0 + changes]);
    let events = app.database.connect().facts("SELECT CAST(count(*) AS TEXT) AS fact FROM events");
    assert_eq!(events, [format!("{}", 2.0 + changes)]);
}

/// What is stored of a deletion names no person.
#[rstest]
#[tokio::test]
async fn nothing_of_a_deleted_user_is_stored_with_the_deletion(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app.delete("/api/v2/users/1").header(KEY, "d").answer().await.empty(204);
    let stored =
        "SELECT CAST(user_id AS TEXT) || coalesce(name, '') || coalesce(email, '') AS fact FROM idempotency_keys";
    assert_eq!(app.database.connect().facts(stored), ["1"]);
}

#[rstest]
#[tokio::test]
async fn another_request_must_have_another_key(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = user("John", "john@example.com");
    app.create("Jane", "jane@example.com").await;
    app.post("/api/v2/users", &john).header(KEY, "k").answer().await.expect(201);
    let patch = json!({ "name": "Jim" });
    for request in [
        app.post("/api/v2/users", &user("Johnny", "john@example.com")),
        app.post("/api/v2/users", &user("John", "johnny@example.com")),
        app.put("/api/v2/users/2", &john),
        app.patch("/api/v2/users/2", &patch),
        app.delete("/api/v2/users/2"),
    ] {
        let reused = request.header(KEY, "k").answer().await;
        assert!(!is_replay(&reused));
        reused.problem(422, "idempotency_key_reused");
    }
    for request in [app.post("/api/v1/users", &john), app.delete("/api/v1/users/2")] {
        request.header(KEY, "k").answer().await.error(422);
    }
    app.patch("/api/v2/users/1", &patch).header(KEY, "p").header(IF_MATCH, "\"1\"").answer().await.expect(200);
    for (path, body, tag) in [
        ("/api/v2/users/2", &patch, "\"1\""),
        ("/api/v2/users/1", &json!({ "email": "jim@example.com" }), "\"1\""),
        ("/api/v2/users/1", &json!({ "name": "Jim", "email": "jim@example.com" }), "\"1\""),
        ("/api/v2/users/1", &patch, "\"1\", \"2\""),
        ("/api/v2/users/1", &patch, "*"),
    ] {
        let request = app.patch(path, body).header(KEY, "p").header(IF_MATCH, tag);
        request.answer().await.problem(422, "idempotency_key_reused");
    }
    let versions = Vec::from_iter(app.everyone().await.iter().map(|user| user["version"].clone()));
    assert_eq!(versions, [2, 1]);
}

/// What counts is what was asked for, not how it was written.
#[tokio::test]
async fn the_same_request_may_be_written_otherwise() {
    let app = App::start(Db::Sqlite).await;
    let post = |body: &'static str| {
        let request = app.request(reqwest::Method::POST, "/api/v2/users").header("content-type", "application/json");
        request.body(body).header(KEY, "\"k\"")
    };
    post(r#"{"name":"John","email":"john@example.com"}"#).answer().await.expect(201);
    let again = post(r#"{ "email": "john@example.com", "name": " John " }"#).answer().await;
    assert!(is_replay(&again) && again.status == 201, "{again:?}");
    let bare = app.post("/api/v2/users", &user("John", "john@example.com")).header(KEY, "k").answer().await;
    assert!(is_replay(&bare), "quotes are not part of the key: {bare:?}");
}

#[rstest]
#[tokio::test]
async fn what_was_refused_is_decided_anew(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    let create = || app.post("/api/v2/users", &user("Jane", "john@example.com")).header(KEY, "c");
    let update = || app.patch("/api/v2/users/1", &json!({ "name": "Joe" })).header(KEY, "u").header(IF_MATCH, "\"2\"");
    let delete = || app.delete("/api/v2/users/1").header(KEY, "d").header(IF_MATCH, "\"3\"");
    for _ in 0..2 {
        create().answer().await.problem(409, "email_taken");
        update().answer().await.problem(412, "version_mismatch");
        delete().answer().await.problem(412, "version_mismatch");
        app.delete("/api/v2/users/999").header(KEY, "n").answer().await.problem(404, "user_not_found");
    }
    app.patch("/api/v2/users/1", &json!({ "email": "other@example.com" })).answer().await.expect(200);
    assert_eq!(twice(create).await.body(201)["name"], "Jane");
    assert_eq!(twice(update).await.body(200)["version"], 3);
    twice(delete).await.empty(204);
}

/// A condition with several versions is several attempts, of which one changes the user.
#[rstest]
#[tokio::test]
async fn a_condition_with_several_versions_holds_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app.patch("/api/v2/users/1", &json!({ "name": "Jim" })).answer().await.expect(200);
    let update = || {
        let patch = app.patch("/api/v2/users/1", &json!({ "name": "Joe" }));
        patch.header(KEY, "u").header(IF_MATCH, "\"1\", \"2\", \"3\"")
    };
    assert_eq!(twice(update).await.body(200)["version"], 3);
}

#[rstest]
#[case::empty(&[""])]
#[case::a_space(&["a b"])]
#[case::half_a_quote(&["\"a"])]
#[case::too_long(&[TOO_LONG])]
#[case::two(&["a", "a"])]
#[tokio::test]
async fn a_malformed_key_is_refused(#[case] keys: &[&str]) {
    let app = App::start(Db::Sqlite).await;
    let with_keys = |request: RequestBuilder| keys.iter().fold(request, |request, key| request.header(KEY, *key));
    let john = user("John", "john@example.com");
    with_keys(app.post("/api/v2/users", &john)).answer().await.problem(400, "invalid_header");
    with_keys(app.delete("/api/v2/users/1")).answer().await.problem(400, "invalid_header");
    with_keys(app.post("/api/v1/users", &john)).answer().await.error(400);
    with_keys(app.get("/api/v2/users")).answer().await.expect(200);
    assert_eq!(app.everyone().await, [Value::Null; 0]);
}

#[rstest]
#[tokio::test]
async fn callers_have_their_own_keys(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let create = async |subject: &str, email: &str| {
        let mut claims = claims("users:write");
        claims["sub"] = json!(subject);
        let request = app.anonymous(reqwest::Method::POST, "/api/v2/users").bearer_auth(token(&claims));
        request.header(KEY, "k").json(&user("John", email)).answer().await
    };
    let [ann, ben] = [create("ann", "ann@example.com").await, create("ben", "ben@example.com").await];
    assert_eq!([ann.body(201)["id"].clone(), ben.body(201)["id"].clone()], [1, 2]);
    let again = create("ann", "ann@example.com").await;
    assert!(is_replay(&again) && again.text == ann.text, "{again:?}");
    create("ben", "ann@example.com").await.problem(422, "idempotency_key_reused");
}

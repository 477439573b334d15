//! Many users are got by one request.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db, claims, token};

const BATCH_GET: &str = "/api/v2/users:batchGet";

#[rstest]
#[tokio::test]
async fn users_come_in_the_order_of_the_request(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values("16777216", "0")] cache_bytes: &str,
) {
    let app = App::start_with(db, &[("USER_CACHE_BYTES", cache_bytes)]).await;
    let mut users = Vec::new();
    for name in ["a", "b", "c"] {
        users.push(app.create(name, &format!("{name}@example.com")).await);
    }
    for _ in 0..2 {
        let answer = app.post(BATCH_GET, &json!({ "ids": [3, 99, 1, 3, 98] })).answer().await;
        let expected = json!({ "users": [users[2], users[0], users[2]], "missing": [99, 98] });
        assert_eq!(answer.body(200), expected);
        assert!(answer.header("events-position").parse::<i64>().unwrap() >= 3);
        let answer = app.post(BATCH_GET, &json!({ "emails": ["x@example.com", "B@Example.com", "a@example.com"] }));
        let expected = json!({ "users": [users[1], users[0]], "missing": ["x@example.com"] });
        assert_eq!(answer.answer().await.body(200), expected);
    }
    assert_eq!(
        app.post(BATCH_GET, &json!({ "ids": [] })).answer().await.body(200),
        json!({ "users": [], "missing": [] })
    );
}

#[rstest]
#[tokio::test]
async fn a_thousand_are_got_at_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let create = |n: usize| json!({ "create": { "name": "x", "email": format!("{n}@example.com") } });
    let operations = Vec::from_iter((0..1000).map(create));
    app.post("/api/v2/users:batchWrite", &json!({ "operations": operations })).answer().await.body(200);
    let ids = Vec::from_iter((1..=1000).rev());
    let got = app.post(BATCH_GET, &json!({ "ids": ids })).answer().await.body(200);
    let got = Vec::from_iter(got["users"].as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()));
    assert_eq!(got, ids);
    let emails = Vec::from_iter((0..1000).map(|n| format!("{n}@EXAMPLE.com")));
    let got = app.post(BATCH_GET, &json!({ "emails": emails })).answer().await.body(200);
    assert_eq!((got["users"].as_array().unwrap().len(), &got["missing"]), (1000, &json!([])));
}

#[tokio::test]
async fn what_is_malformed_is_named() {
    let app = App::start(Db::Sqlite).await;
    for (body, pointer) in [
        (json!({ "ids": Vec::from_iter(1..=1001) }), "/ids"),
        (json!({ "ids": [1, 0] }), "/ids/1"),
        (json!({ "ids": [-1] }), "/ids/0"),
        (json!({ "ids": ["1"] }), "/ids/0"),
        (json!({ "ids": [1.5] }), "/ids/0"),
        (json!({ "ids": 1 }), "/ids"),
        (json!({ "ids": null }), "/ids"),
        (json!({ "emails": ["a@example.com", "b"] }), "/emails/1"),
        (json!({ "emails": [1] }), "/emails/0"),
        (json!({}), ""),
        (json!({ "ids": [1], "emails": ["a@example.com"] }), ""),
        (json!({ "id": [1] }), "/id"),
        (json!([[1]]), ""),
    ] {
        let problem = app.post(BATCH_GET, &body).answer().await.problem(400, "invalid_batch");
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!((errors.len(), &errors[0]["pointer"]), (1, &json!(pointer)), "{problem:#}");
    }
    let text = |body: &'static str| {
        let request = app.request(reqwest::Method::POST, BATCH_GET).header("content-type", "application/json");
        request.body(body)
    };
    for body in ["", "{", "{\"ids\":[1]} x", "{\"ids\":[1,]}", "nul"] {
        text(body).answer().await.problem(400, "malformed_body");
    }
    text("{\"ids\":[1],\"ids\":[1]}").answer().await.problem(400, "invalid_batch");
    app.get(BATCH_GET).answer().await.problem(405, "method_not_allowed");
    let plain = app.request(reqwest::Method::POST, BATCH_GET).body("{\"ids\":[1]}");
    plain.answer().await.problem(415, "unsupported_media_type");
    let large = json!({ "emails": ["x".repeat(1 << 20)] });
    app.post(BATCH_GET, &large).answer().await.problem(413, "body_too_large");
}

#[tokio::test]
async fn who_may_read_may_get_many() {
    let app = App::start(Db::Sqlite).await;
    let post = |token: String| {
        let request = app.anonymous(reqwest::Method::POST, BATCH_GET).bearer_auth(token);
        request.json(&json!({ "ids": [1] }))
    };
    let scoped = |scope: &str| token(&claims(scope));
    post(scoped("users:read")).answer().await.body(200);
    post(scoped("users:write")).answer().await.problem(403, "insufficient_scope");
    let anonymous = app.anonymous(reqwest::Method::POST, BATCH_GET).json(&json!({ "ids": [1] }));
    anonymous.answer().await.problem(401, "unauthorized");
}

#[tokio::test]
async fn an_answer_shows_the_position_that_is_asked_for() {
    let app = App::start(Db::Sqlite).await;
    let get = |position: &str| app.post(BATCH_GET, &json!({ "ids": [1] })).header("at-least-position", position);
    get("0").answer().await.body(200);
    get("99").answer().await.problem(410, "events_gone");
    get("x").answer().await.problem(400, "invalid_header");
    assert_eq!(app.everyone().await, [Value::Null; 0]);
}

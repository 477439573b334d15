//! Valid and invalid writes that arrive together: each caller gets its own row's result.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::json;

use crate::support::{Answer, Answered, App, CLIENTS, Db, at_once, user};

/// One client's request, and the status that no other request may change.
async fn ask(app: &App, round: usize, client: usize) -> (u16, Answer) {
    let own = format!("/api/v2/users/{}", client + 1);
    let (name, fresh) = (format!("{round}.{client}"), format!("new{round}.{client}@example.com"));
    let put = |email: &str| app.put(&own, &user(&name, email));
    let kept = format!("kept{client}@example.com");
    let (status, request) = match client % 8 {
        0 => (201, app.post("/api/v2/users", &user(&name, &fresh))),
        1 => (409, app.post("/api/v2/users", &user(&name, "KEPT1@example.com"))),
        2 => (200, put(&kept)),
        3 => (409, put("kept0@example.com")),
        4 => (412, put(&kept).header(IF_MATCH, r#""999""#)),
        5 => (404, app.put("/api/v2/users/999999", &user(&name, &fresh))),
        6 => (404, app.delete("/api/v2/users/999999")),
        _ => (200, app.patch(&own, &json!({ "name": name })).header(IF_MATCH, format!("\"{}\"", round + 1))),
    };
    (status, request.answer().await)
}

#[rstest]
#[tokio::test]
async fn each_gets_its_own_result(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for client in 0..CLIENTS {
        app.create("kept", &format!("kept{client}@example.com")).await;
    }
    for round in 0..10 {
        let answers = at_once(CLIENTS, async |client: usize| ask(&app, round, client).await).await;
        for (client, (expected, answer)) in answers.iter().enumerate() {
            assert_eq!(answer.status, *expected, "round {round}, client {client}: {answer:?}");
            if matches!(expected, 200 | 201) {
                assert_eq!(answer.json()["name"], format!("{round}.{client}"), "another client's row");
            }
        }
    }
    assert_changed_where_answered(&app).await;
}

async fn assert_changed_where_answered(app: &App) {
    let everyone = app.everyone().await;
    assert_eq!(everyone.len(), CLIENTS + 10 * CLIENTS / 8);
    for (client, user) in everyone.iter().take(CLIENTS).enumerate() {
        let changes = if matches!(client % 8, 2 | 7) { 10 } else { 0 };
        assert_eq!(user["version"], 1 + changes, "{user}");
        assert_eq!(user["email"], format!("kept{client}@example.com"));
    }
}

/// Updates of one user run in one batch each, and a create that arrives with them must not wait for all of them. On
/// SQLite one batch runs them in order, at no cost.
#[tokio::test]
async fn a_crowd_at_one_user_holds_nobody_up() {
    const UPDATES: usize = 40;
    let app = App::start_with(Db::Postgres, &[("DB_DEADLINE", "1m"), ("DB_MAX_WAIT", "1m")]).await;
    app.create("John", "john@example.com").await;
    app.database.connect().run(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END';
         CREATE TRIGGER dawdle BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION dawdle()",
    );
    let answered = AtomicUsize::new(0);
    let answers = at_once(UPDATES + 1, async |client: usize| {
        let request = match client {
            UPDATES => app.post("/api/v2/users", &user("Jane", "jane@example.com")),
            _ => app.patch("/api/v2/users/1", &json!({ "name": format!("John {client}") })),
        };
        (request.answer().await, answered.fetch_add(1, Ordering::Relaxed))
    })
    .await;
    let (created, before) = &answers[UPDATES];
    created.body(201);
    assert!(*before < UPDATES / 4, "{before} of {UPDATES} updates came first");
    let mut versions: Vec<_> =
        answers[..UPDATES].iter().map(|(answer, _)| answer.body(200)["version"].clone()).collect();
    versions.sort_unstable_by_key(serde_json::Value::as_i64);
    assert_eq!(versions, Vec::from_iter(2..2 + UPDATES));
}

#[rstest]
#[tokio::test]
async fn each_looks_up_its_own_user(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    database.program().args(["seed", "--count", "500"]).run().succeeded();
    let app = App::on(database, &[]).await;
    let answers = at_once(800, async |client: usize| {
        // Some clients get the same user, and some a missing one.
        let id = client * 7 % 600 + 1;
        (id, app.get(&format!("/api/v2/users/{id}")).answer().await)
    })
    .await;
    for (id, answer) in answers {
        match id {
            1..=500 => assert_eq!(answer.body(200)["id"], id),
            _ => drop(answer.problem(404, "user_not_found")),
        }
    }
}

/// A create among changes takes another statement than creates alone. What it records must be what it stores.
#[rstest]
#[tokio::test]
async fn each_event_is_the_user_that_was_stored(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for client in 0..CLIENTS {
        app.create("John", &format!("john{client}@example.com")).await;
    }
    at_once(CLIENTS, async |client: usize| {
        let own = format!("/api/v2/users/{}", client + 1);
        let (name, email) = (format!("Jack {client}"), format!("jack{client}@example.com"));
        let profile = json!({ "external_id": name, "status": "disabled", "attributes": { "n": client } });
        let mut new = user(&name, &email);
        if client.is_multiple_of(2) {
            new.as_object_mut().unwrap().extend(profile.as_object().unwrap().clone());
        }
        match client % 6 {
            0 => app.patch(&own, &json!({ "name": name })).answer().await.body(200),
            1 => app.patch(&own, &json!({ "email": email })).answer().await.body(200),
            2 | 3 => app.post("/api/v2/users", &new).answer().await.body(201),
            4 => app.patch(&own, &profile).answer().await.body(200),
            _ => app.patch(&own, &json!({ "attributes": { "n": client } })).answer().await.body(200),
        }
    })
    .await;
    let mut database = app.database.connect();
    let differ = "SELECT CAST(users.id AS TEXT) AS fact FROM users LEFT JOIN events
            ON events.user_id = users.id AND events.version = users.version AND events.name = users.name
            AND events.email = users.email AND events.created_at = users.created_at
            AND events.occurred_at = users.updated_at AND events.known_columns = 2
            AND coalesce(events.external_id, '') = coalesce(users.external_id, '')
            AND coalesce(events.status, 0) = coalesce(users.status, 0)
            AND coalesce(events.attributes, '') = coalesce(users.attributes, '')
        WHERE events.id IS NULL";
    assert_eq!(database.facts(differ), Vec::<String>::new());
    assert_eq!(
        database.facts("SELECT CAST(count(*) AS TEXT) AS fact FROM users"),
        [(CLIENTS + (0..CLIENTS).filter(|client| matches!(client % 6, 2 | 3)).count()).to_string()]
    );
}

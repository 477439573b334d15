//! `Events-Position` and `At-Least-Position`: how much of the log of events an answer shows.

use rstest::rstest;
use serde_json::json;

use crate::support::{Answer, Answered, App, Db, user};

fn position(answer: &Answer) -> i64 {
    answer.header("events-position").parse().expect("a position")
}

async fn at_least(app: &App, path: &str, position: &str) -> Answer {
    app.get(path).header("at-least-position", position).answer().await
}

#[rstest]
#[tokio::test]
async fn every_answer_with_users_has_one_and_a_write_s_is_beyond_all_before(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values("16777216", "0")] cache: &str,
) {
    let app = App::start_with(db, &[("USER_CACHE_BYTES", cache)]).await;
    let mut last = 0;
    assert_eq!(position(&app.get("/api/v2/users").answer().await), 0, "nothing has happened yet");
    for round in 0..3 {
        let created = app.post("/api/v2/users", &user("John", "john@example.com")).answer().await;
        created.body(201);
        let path = created.header("location").to_owned();
        let mut changes = vec![created];
        changes.push(app.patch(&path, &json!({ "name": "Johnny" })).answer().await);
        changes.push(app.put(&path, &user("Joe", "john@example.com")).answer().await);
        for change in &changes {
            assert!(position(change) > last, "round {round}: {change:?}");
            last = position(change);
        }
        for read in
            [&path, &path, "/api/v2/users", "/api/v2/users?email=john@example.com", "/api/v2/users?name_prefix=J"]
        {
            let answer = app.get(read).answer().await;
            answer.body(200);
            assert_eq!(position(&answer), last, "{read}");
        }
        let unchanged = app.get(&path).header("if-none-match", "*").answer().await;
        assert_eq!((unchanged.status, position(&unchanged)), (304, last));
        let deleted = app.delete(&path).answer().await;
        assert!(position(deleted.empty(204)) > last);
        last = position(&deleted);
    }
    let first = app.post("/api/v1/users", &user("John", "john@example.com")).answer().await;
    assert!(!first.headers.contains_key("events-position"));
}

#[rstest]
#[tokio::test]
async fn one_that_was_given_is_reached_and_one_beyond_the_log_is_gone(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = app.post("/api/v2/users", &user("John", "john@example.com")).answer().await;
    let (known, beyond) = (position(&john).to_string(), (position(&john) + 1).to_string());
    for path in ["/api/v2/users/1", "/api/v2/users/1", "/api/v2/users", "/api/v2/users?email=john@example.com"] {
        for reached in ["0", &known] {
            at_least(&app, path, reached).await.body(200);
        }
        at_least(&app, path, &beyond).await.problem(410, "events_gone");
        at_least(&app, path, "9223372036854775807").await.problem(410, "events_gone");
    }
    let missing = at_least(&app, "/api/v2/users/2", &known).await;
    missing.problem(404, "user_not_found");
    assert_eq!(position(&missing).to_string(), known);
    at_least(&app, "/api/v2/users/2", &beyond).await.problem(410, "events_gone");
    // Version 1 has no positions.
    assert_eq!(at_least(&app, "/api/v1/users/1", &beyond).await.body(200)["name"], "John");
}

#[rstest]
#[tokio::test]
async fn a_malformed_one_is_refused(
    #[values("", "-1", "+1", "1.0", "x", "0x1", "9223372036854775808", "1 2")] text: &str,
) {
    let app = App::start(Db::Sqlite).await;
    app.create("John", "john@example.com").await;
    for path in ["/api/v2/users/1", "/api/v2/users"] {
        at_least(&app, path, text).await.problem(400, "invalid_header");
        let twice = app.get(path).header("at-least-position", "1").header("at-least-position", "1");
        twice.answer().await.problem(400, "invalid_header");
    }
}

/// Users that `seed` has made have no events, and events that are pruned are gone. A position stays where it was.
#[rstest]
#[tokio::test]
async fn an_empty_log_has_one_too(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    let john = app.post("/api/v2/users", &user("John", "john@example.com")).answer().await;
    let known = position(&john);
    app.database.connect().run(&format!("UPDATE event_log SET pruned_to = {known}"));
    app.database.connect().run("DELETE FROM events");
    app.restart().await;
    for path in ["/api/v2/users/1", "/api/v2/users/1", "/api/v2/users", "/api/v2/users?email=john@example.com"] {
        let answer = at_least(&app, path, &known.to_string()).await;
        answer.body(200);
        assert_eq!(position(&answer), known, "{path}");
    }
}

/// Held events are not pruned. They may be the only ones left, far below the end of the log.
#[rstest]
#[tokio::test]
async fn a_held_event_is_not_the_end_of_the_log(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values("16777216", "0")] cache: &str,
) {
    let mut app = App::start(db).await;
    let mut known = 0;
    for name in ["a", "b", "c"] {
        known = position(&app.post("/api/v2/users", &user(name, &format!("{name}@example.com"))).answer().await);
    }
    let mut operator = app.database.connect();
    operator.run(&format!("UPDATE event_log SET pruned_to = {known}"));
    operator.run("DELETE FROM events WHERE id > 1");
    app.restart_with(&[("USER_CACHE_BYTES", cache)]).await;
    for path in ["/api/v2/users/3", "/api/v2/users/3", "/api/v2/users", "/api/v2/users?email=c@example.com"] {
        let answer = at_least(&app, path, &known.to_string()).await;
        answer.body(200);
        assert_eq!(position(&answer), known, "{path}");
    }
    at_least(&app, "/api/v2/users/9", &known.to_string()).await.problem(404, "user_not_found");
    let resumed = app.head("/api/v2/events").header("last-event-id", known.to_string()).answer().await;
    resumed.expect(200);
}

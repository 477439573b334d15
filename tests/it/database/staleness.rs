//! `MAX_STALENESS` on PostgreSQL: reads that ask nothing are as old as it says at most, never older than a caller's own write
//! or position, and say so.

use std::time::Duration;

use reqwest::RequestBuilder;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::user_cache::{find, get, warm};
use crate::support::{Answer, Answered, App, Db, Postgres, Program, Server, until, user};

/// The longest bound: within a test nothing passes it.
const LONG: &[(&str, &str)] = &[("MAX_STALENESS", "60s")];

/// John, in the memory of a server that may be stale, and another server, which changes him.
async fn john_at_two(vars: &[(&str, &str)]) -> (App, Server, Value) {
    let app = App::start_with(Db::Postgres, vars).await;
    let other = Server::listening(app.database.program());
    other.ready().await;
    let john = other.create("John", "john@example.com").await;
    warm(&app, &john).await;
    (app, other, john)
}

async fn rename(server: &Server, user: &Value, name: &str) -> Answer {
    server.patch(&path(user), &json!({ "name": name })).answer().await
}

fn path(user: &Value) -> String {
    format!("/api/v2/users/{}", user["id"])
}

async fn name(server: &Server, user: &Value, cache_control: &str) -> String {
    let answer = server.get(&path(user)).header("cache-control", cache_control).answer().await;
    answer.body(200)["name"].as_str().expect("a name").to_owned()
}

/// An answer that shows the user as it was before its last change, at another server. An answer may do that, but need not:
/// the change may have been read by then.
async fn stale(app: &Server, other: &Server, user: &Value, ask: impl Fn() -> RequestBuilder) -> Answer {
    for round in 0..100 {
        let before = format!("Before {round}.");
        rename(other, user, &before).await.body(200);
        assert_eq!(name(app, user, "no-cache").await, before);
        rename(other, user, &format!("After {round}.")).await.body(200);
        let answer = ask().answer().await;
        if answer.text.contains(&before) {
            return answer;
        }
    }
    panic!("no answer is stale");
}

#[tokio::test]
async fn within_the_bound_an_answer_may_be_stale_and_says_so() {
    let (app, other, john) = john_at_two(LONG).await;
    for target in [path(&john), "/api/v2/users?email=john@example.com".to_owned()] {
        let answer = stale(&app, &other, &john, || app.get(&target)).await;
        let age: u64 = answer.expect(200).header("age").parse().expect("an age");
        assert!((1..=60).contains(&age), "{age}");
    }
    let first = stale(&app, &other, &john, || app.get(&format!("/api/v1/users/{}", john["id"]))).await;
    assert!(!first.headers.contains_key("age") && !first.headers.contains_key("events-position"));
    let counted = app.metrics().await.value("user_cache_staleness_seconds_count");
    assert!(counted >= 3.0, "{counted}");
    // A list is never stale.
    let last = rename(&other, &john, "Johnny").await.body(200);
    let list = app.get("/api/v2/users").answer().await;
    assert_eq!((&list.body(200)["users"][0], list.headers.contains_key("age")), (&last, false));
}

#[tokio::test]
async fn what_is_not_there_or_has_not_changed_may_be_stale_too() {
    let (app, _other, john) = john_at_two(LONG).await;
    let unchanged = app.get(&path(&john)).header("if-none-match", "*").answer().await;
    assert_eq!((unchanged.status, unchanged.headers.contains_key("age")), (304, true));
    app.get("/api/v2/users/7").answer().await.problem(404, "user_not_found");
    let missing = app.get("/api/v2/users/7").answer().await;
    missing.problem(404, "user_not_found");
    assert!(missing.header("age").parse::<u64>().is_ok() && missing.header("events-position").parse::<i64>().is_ok());
}

/// While somebody reads, changes arrive long before the bound.
#[tokio::test]
async fn while_somebody_reads_the_log_is_read_in_the_background() {
    let (app, other, john) = john_at_two(LONG).await;
    rename(&other, &john, "Johnny").await.body(200);
    until("the change is seen", Duration::from_secs(20), async || name(&app, &john, "").await == "Johnny").await;
    let answer = app.get(&path(&john)).answer().await;
    assert!(answer.headers.contains_key("age"), "nobody has asked for this one: {answer:?}");
}

#[rstest]
#[case("no-cache")]
#[case("max-stale=9, no-cache")]
#[case("max-age=0")]
#[tokio::test]
async fn a_request_takes_back_the_choice(#[case] cache_control: &str) {
    let (app, other, john) = john_at_two(LONG).await;
    rename(&other, &john, "Johnny").await.body(200);
    let latest = app.get(&path(&john)).header("cache-control", cache_control).answer().await;
    assert_eq!((latest.body(200)["name"].as_str(), latest.headers.contains_key("age")), (Some("Johnny"), false));
    // What it has asked is known from now on.
    assert_eq!(get(&app, &john["id"]).await.expect("the user")["name"], "Johnny");
    rename(&other, &john, "Joe").await.body(200);
    let first = app.get(&format!("/api/v1/users/{}", john["id"])).header("cache-control", cache_control);
    assert_eq!(first.answer().await.body(200)["name"], "Joe");
}

#[tokio::test]
async fn a_request_may_allow_more_but_only_where_staleness_is_allowed() {
    let (app, other, john) = john_at_two(&[("MAX_STALENESS", "1ms")]).await;
    for allowing in ["max-stale=60", "max-stale", "Max-Stale=\"30\"", "max-age=1, max-stale=60"] {
        stale(&app, &other, &john, || app.get(&path(&john)).header("cache-control", allowing)).await;
    }
    rename(&app, &john, "Joe").await.body(200);
    // The other one allows none.
    assert_eq!(name(&other, &john, "max-stale=60").await, "Joe");
}

#[tokio::test]
async fn after_the_bound_a_change_at_another_replica_is_seen() {
    let bound = Duration::from_millis(100);
    let (app, other, john) = john_at_two(&[("MAX_STALENESS", "100ms")]).await;
    for round in 0..10 {
        let name = format!("Round {round}");
        rename(&other, &john, &name).await.body(200);
        get(&app, &john["id"]).await;
        tokio::time::sleep(bound).await;
        assert_eq!(get(&app, &john["id"]).await.expect("the user")["name"], name.as_str());
    }
}

#[tokio::test]
async fn a_caller_sees_its_own_writes() {
    let (app, _other, john) = john_at_two(LONG).await;
    for round in 0..20 {
        let user = rename(&app, &john, &format!("Round {round}")).await.body(200);
        assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&user));
        warm(&app, &user).await;
    }
    assert_eq!(find(&app, "jack@example.com").await, None);
    let moved = app.patch(&path(&john), &json!({ "email": "jack@example.com" })).answer().await.body(200);
    assert_eq!(find(&app, "jack@example.com").await.as_ref(), Some(&moved));
    assert_eq!(find(&app, "john@example.com").await, None);
    app.delete(&path(&john)).answer().await.empty(204);
    assert_eq!((get(&app, &john["id"]).await, find(&app, "jack@example.com").await), (None, None));
    let jack = app.create("Jack", "jack@example.com").await;
    assert_eq!(find(&app, "jack@example.com").await, Some(jack));
}

/// A refusal says something about the user as well.
#[tokio::test]
async fn what_a_refused_write_has_shown_stays_so() {
    let (app, other, john) = john_at_two(LONG).await;
    rename(&other, &john, "Johnny").await.body(200);
    let stale = app.patch(&path(&john), &json!({ "name": "Joe" })).header("if-match", "\"1\"").answer().await;
    stale.problem(412, "version_mismatch");
    assert_eq!(get(&app, &john["id"]).await.expect("the user")["version"], 2);
    assert_eq!(find(&app, "jack@example.com").await, None);
    other.create("Jack", "jack@example.com").await;
    app.post("/api/v2/users", &user("Jack", "jack@example.com")).answer().await.problem(409, "email_taken");
    assert!(find(&app, "jack@example.com").await.is_some());
    other.delete(&path(&john)).answer().await.empty(204);
    app.delete(&path(&john)).answer().await.problem(404, "user_not_found");
    assert_eq!(get(&app, &john["id"]).await, None);
}

/// More events than one statement reads: rows that are read beside them are newer than what comes next.
#[tokio::test]
async fn behind_many_events_nothing_goes_back() {
    let (app, other, john) = john_at_two(LONG).await;
    for round in 0..3 {
        for change in 0..100 {
            rename(&other, &john, &format!("Round {round}.{change}")).await.body(200);
            other.create("Jane", &format!("jane{round}.{change}@example.com")).await;
        }
        let target = path(&john);
        let (mut version, mut position) = (0, 0);
        for _ in 0..20 {
            let answer = app.get(&target).header("at-least-position", position.to_string()).answer().await;
            let (shown, end) = (answer.body(200)["version"].as_i64(), answer.header("events-position").parse::<i64>());
            let (shown, end) = (shown.expect("a version"), end.expect("a position"));
            assert!(shown >= version && end >= position, "{shown} at {end}, after {version} at {position}");
            (version, position) = (shown, end);
        }
    }
}

#[tokio::test]
async fn a_position_shows_what_was_done_at_another_replica() {
    let (app, other, john) = john_at_two(LONG).await;
    for round in 0..20 {
        let name = format!("Round {round}");
        let renamed = rename(&other, &john, &name).await;
        let at_least = app.get(&path(&john)).header("at-least-position", renamed.header("events-position"));
        assert_eq!(at_least.answer().await.body(200)["name"], name.as_str());
        // It is known now, and so is the position.
        let again = app.get(&path(&john)).header("at-least-position", renamed.header("events-position")).answer().await;
        assert_eq!((again.body(200)["name"].as_str(), again.headers.contains_key("age")), (Some(name.as_str()), true));
    }
}

/// Within the bound the database may be away.
#[tokio::test]
async fn without_the_database_only_answers_within_the_bound_are_given() {
    let (dir, mut postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let server = Server::listening(
        Program::new(dir.path())
            .env("DATABASE_URL", postgres.url())
            .env("MAX_STALENESS", "2s")
            .env("DB_DEADLINE", "1s"),
    );
    server.ready().await;
    let john = server.create("John", "john@example.com").await;
    warm(&server, &john).await;
    name(&server, &john, "no-cache").await;
    postgres.crash();
    assert_eq!(name(&server, &john, "").await, "John");
    server.get(&path(&john)).header("cache-control", "no-cache").answer().await.expect(503);
    until("the bound is over", Duration::from_secs(20), async || {
        let answer = server.get(&path(&john)).answer().await;
        if answer.status == 200 {
            assert!(answer.header("age").parse::<u64>().expect("an age") <= 2, "{answer:?}");
        }
        answer.status == 503
    })
    .await;
    server.get(&path(&john)).answer().await.expect(503);
    // Somebody may allow more.
    assert_eq!(name(&server, &john, "max-stale").await, "John");
    postgres.start().await;
    server.ready().await;
    rename(&server, &john, "Johnny").await.body(200);
    assert_eq!(name(&server, &john, "").await, "Johnny");
}

/// SQLite's answers are never stale, so there is nothing to choose.
#[tokio::test]
async fn on_sqlite_the_bound_changes_nothing() {
    let app = App::start_with(Db::Sqlite, LONG).await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    app.database.connect().run("UPDATE users SET name = 'Johnny'");
    let answer = app.get(&path(&john)).header("cache-control", "max-stale").answer().await;
    assert_eq!((answer.body(200)["name"].as_str(), answer.headers.contains_key("age")), (Some("Johnny"), false));
}

//! Another client holds a lock in the database. No request waits past its deadline.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::json;

use crate::support::{Answer, Answered, App, CLIENTS, Db, Raw, at_once, count, until, user};

const DEADLINE: &str = "1s";
/// The deadline, and time for a busy machine to answer.
const BY: Duration = Duration::from_millis(2500);
const AT_ONCE: Duration = Duration::from_millis(500);

async fn timed(request: RequestBuilder) -> (Answer, Duration) {
    let begun = Instant::now();
    let answer = request.answer().await;
    (answer, begun.elapsed())
}

/// Checks that the answer came in time and says "not executed" or "unknown".
fn is_unavailable((answer, took): &(Answer, Duration)) {
    assert!(matches!(answer.status, 503 | 504), "{answer:?}");
    assert!(*took < BY, "{took:?}: {answer:?}");
    match (answer.status, answer.json()["code"].as_str()) {
        (503, Some("unavailable" | "overloaded")) => drop(answer.problem(503, answer.json()["code"].as_str().unwrap())),
        _ => drop(answer.problem(504, "outcome_unknown")),
    }
}

/// No statement that waits for the lock is in flight when its caller gives up, so every caller gets "not executed".
#[rstest]
#[tokio::test]
async fn writers_are_refused_in_time_and_readers_go_on(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("DB_DEADLINE", "2s")]).await;
    app.create("John", "john@example.com").await;
    let before = app.everyone().await;
    let lock = app.database.lock_writers();
    let answers = at_once(6, async |client: usize| match client % 3 {
        0 => timed(app.post("/api/v2/users", &user("Jane", &format!("jane{client}@example.com")))).await,
        1 => timed(app.patch("/api/v2/users/1", &json!({ "name": "Johnny" }))).await,
        _ => timed(app.delete("/api/v2/users/1")).await,
    });
    let readers = at_once(6, async |_| timed(app.get("/api/v2/users/1")).await);
    let (answers, readers) = futures::join!(answers, readers);
    for (answer, took) in answers {
        answer.expect(503);
        assert!(took < BY, "{took:?}: {answer:?}");
    }
    for (answer, took) in readers {
        answer.body(200);
        assert!(took < AT_ONCE, "a reader waited {took:?}");
    }
    drop(lock);
    until("writes are accepted again", Duration::from_secs(5), async || {
        app.post("/api/v2/users", &user("Late", "late@example.com")).answer().await.status == 201
    })
    .await;
    assert_eq!(app.everyone().await[..1], before, "503 is not executed");
    assert_eq!(app.everyone().await.len(), 2, "503 is not executed");
}

#[tokio::test]
async fn a_locked_table_holds_nobody_past_the_deadline() {
    let app = App::start_with(Db::Postgres, &[("DB_DEADLINE", DEADLINE)]).await;
    app.create("John", "john@example.com").await;
    let mut lock = app.database.connect();
    lock.run("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE");
    let answers = at_once(CLIENTS, async |client: usize| match client % 4 {
        0 => timed(app.get("/api/v2/users/1")).await,
        1 => timed(app.get("/api/v2/users")).await,
        2 => timed(app.post("/api/v2/users", &user("Jane", &format!("jane{client}@example.com")))).await,
        _ => timed(app.put("/api/v2/users/1", &user("Johnny", "john@example.com"))).await,
    })
    .await;
    answers.iter().for_each(is_unavailable);
    assert!(
        answers.iter().enumerate().all(|(client, (answer, _))| client % 4 > 1 || answer.status == 503),
        "a read is 503"
    );
    app.get("/health").answer().await.expect(200);
    drop(lock);
    until("reads are answered again", Duration::from_secs(5), async || {
        app.get("/api/v2/users/1").answer().await.status == 200
    })
    .await;
    // The writer may still handle the earlier messages. After 503, a client retries.
    until("writes are accepted again", Duration::from_secs(5), async || {
        app.post("/api/v2/users", &user("Late", "late@example.com")).answer().await.status == 201
    })
    .await;
}

/// The other messages of the batch are executed.
#[tokio::test]
async fn a_locked_row_is_refused_alone() {
    let app = App::start_with(Db::Postgres, &[("DB_DEADLINE", "3s")]).await;
    for name in ["a", "b", "c"] {
        app.create(name, &format!("{name}@example.com")).await;
    }
    let mut lock = app.database.connect();
    lock.run("BEGIN; UPDATE users SET version = version WHERE id = 2");
    let answers = at_once(3, async |client: usize| {
        let path = format!("/api/v2/users/{}", client + 1);
        app.patch(&path, &json!({ "name": "changed" })).answer().await
    })
    .await;
    answers[1].problem(503, "unavailable");
    for neighbour in [&answers[0], &answers[2]] {
        neighbour.body(200);
    }
    drop(lock);
    for (id, answer) in (1..).zip(&answers) {
        let name = app.get(&format!("/api/v2/users/{id}")).answer().await.body(200)["name"].clone();
        assert_eq!(name == "changed", answer.status == 200, "503 is not executed: {answer:?}");
    }
}

/// The condition is compared with the version that the lock's holder committed, not with that of the first attempt.
#[tokio::test]
async fn whoever_waits_for_a_row_sees_what_became_of_it() {
    const CHANGE: &str = "UPDATE users SET version = version + 1, name = 'held'";
    let app = App::start_with(Db::Postgres, &[("DB_DEADLINE", "30s"), ("DB_MAX_WAIT", "30s")]).await;
    app.create("John", "john@example.com").await;
    let rename = || app.patch("/api/v2/users/1", &json!({ "email": "new@example.com" }));
    let delete = || app.delete("/api/v2/users/1");
    after_waiting(&app, CHANGE, rename().header(IF_MATCH, r#""1""#)).await.problem(412, "version_mismatch");
    after_waiting(&app, CHANGE, delete().header(IF_MATCH, r#""1""#)).await.problem(412, "version_mismatch");
    let renamed = after_waiting(&app, CHANGE, rename()).await.body(200);
    assert_eq!((&renamed["version"], &renamed["name"]), (&json!(5), &json!("held")));
    assert_eq!(renamed["email"], "new@example.com");
    after_waiting(&app, CHANGE, delete().header(IF_MATCH, r#""6""#)).await.expect(204);
    app.create("Jane", "jane@example.com").await;
    let gone = app.patch("/api/v2/users/2", &json!({ "name": "Jane" }));
    after_waiting(&app, "DELETE FROM users", gone).await.problem(404, "user_not_found");
}

/// Sends a request that waits for another transaction's change, commits that, and returns the answer.
async fn after_waiting(app: &App, change: &str, request: RequestBuilder) -> Answer {
    let mut holder = app.database.connect();
    holder.run(&format!("BEGIN; {change}"));
    let set_aside = "db_messages_set_aside{lane=\"writes\"}";
    let release = async {
        until("the message is set aside", Duration::from_secs(5), async || app.metrics().await.value(set_aside) == 1.0)
            .await;
        holder.run("COMMIT");
    };
    tokio::join!(request.answer(), release).0
}

#[rstest]
#[tokio::test]
async fn a_full_mailbox_refuses_at_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    // The mailbox's length must refuse here, not the expected wait.
    let small = [("DB_MAILBOX", "4"), ("DB_MAX_BATCH", "1"), ("DB_DEADLINE", DEADLINE), ("DB_MAX_WAIT", "1m")];
    let app = App::start_with(db, &small).await;
    let lock = app.database.lock_writers();
    let answers = at_once(CLIENTS, async |client: usize| {
        timed(app.post("/api/v2/users", &user("Jane", &format!("jane{client}@example.com")))).await
    })
    .await;
    answers.iter().for_each(is_unavailable);
    // One message is executed and four wait until their deadline. The mailbox has no room for the others.
    let turned_away = answers.iter().filter(|(_, took)| *took < AT_ONCE);
    let turned_away: Vec<&Answer> = turned_away.map(|(answer, _)| answer).collect();
    assert_eq!(turned_away.len(), CLIENTS - 5, "{answers:?}");
    for answer in turned_away {
        answer.problem(503, "overloaded");
    }
    drop(lock);
    until("writes are accepted again", Duration::from_secs(5), async || {
        app.post("/api/v1/users", &user("Late", "late@example.com")).answer().await.status == 201
    })
    .await;
    let statuses: Vec<u16> = answers.iter().map(|(answer, _)| answer.status).collect();
    let created = app.everyone().await.len() - 1;
    assert!(created <= count(&statuses, &504), "503 is not executed, but {created} users were created");
}

/// The service expects a batch that hangs to continue so, and at once refuses messages that would wait behind it for
/// too long.
#[rstest]
#[tokio::test]
async fn a_long_wait_is_refused_at_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const MAX_WAIT: Duration = Duration::from_millis(100);
    let one_by_one = [("SERVER_WORKERS", "1"), ("DB_MAX_BATCH", "1")];
    let impatient = [&one_by_one[..], &[("DB_MAX_WAIT", "100ms"), ("DB_DEADLINE", "20s")]].concat();
    let app = App::start_with(db, &impatient).await;
    let lock = app.database.lock_writers();
    let at_work = post_raw(&app, "first@example.com").await;
    let waits = post_raw(&app, "second@example.com").await;
    tokio::time::sleep(2 * MAX_WAIT).await;
    let (refused, took) = timed(app.post("/api/v2/users", &user("Jane", "jane@example.com"))).await;
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(503, "overloaded");
    app.get("/api/v2/users").answer().await.expect(200);
    drop(lock);
    for mut accepted in [at_work, waits] {
        let head = accepted.read_head();
        assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    }
    let created = app.post("/api/v2/users", &user("Jane", "jane@example.com")).answer().await;
    assert_eq!(created.status, 201, "the lane works as before: {created:?}");
}

/// A message that waits in the mailbox when its caller hangs up is not executed.
#[rstest]
#[tokio::test]
async fn a_caller_that_has_gone_is_forgotten(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let one_by_one = [("SERVER_WORKERS", "1"), ("DB_MAX_BATCH", "1"), ("DB_DEADLINE", "15s"), ("DB_MAX_WAIT", "1m")];
    let app = App::start_with(db, &one_by_one).await;
    let lock = app.database.lock_writers();
    let first = post_raw(&app, "first@example.com").await;
    let gone = post_raw(&app, "gone@example.com").await;
    drop(gone);
    pass_by(&app).await;
    let last = post_raw(&app, "last@example.com").await;
    drop(lock);
    for mut waiting in [first, last] {
        let head = waiting.read_head();
        assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    }
    let emails: Vec<_> = app.everyone().await.iter().map(|user| user["email"].clone()).collect();
    assert_eq!(emails, ["first@example.com", "last@example.com"]);
}

async fn post_raw(app: &App, email: &str) -> Raw {
    let body = user("John", email).to_string();
    let mut raw = Raw::begin_post(app.address(), "/api/v2/users", body.len());
    raw.write(&body);
    pass_by(app).await;
    raw
}

/// The single worker serves its connections in turn, so after these requests it has read everything that was sent
/// before.
async fn pass_by(app: &App) {
    for _ in 0..5 {
        app.get("/health").answer().await.expect(200);
    }
}

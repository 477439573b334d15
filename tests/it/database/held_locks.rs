//! Another transaction holds a user or an address. Writes to it wait, and no other write does.

use std::cell::Cell;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::json;
use tokio::time::sleep;

use crate::support::{Answer, Answered, App, Connection, Db, Far, Server, at_once, count, until, user};

/// If each batch waited for the lock, each wait would take a quarter of this.
const DEADLINE: (&str, &str) = ("DB_DEADLINE", "4s");
/// A long deadline, for requests that must not expire on a busy machine.
const LONG: (&str, &str) = ("DB_DEADLINE", "30s");
const SOON: Duration = Duration::from_secs(10);
const OTHERS: usize = 4;
const WRITES: usize = 50;
/// The bound for all writes of the others. With a wait for each batch they would take five times as long.
const BY: Duration = Duration::from_secs(10);

const LOCK_JOHN: &str = "BEGIN; SELECT FROM users WHERE id = 1 FOR UPDATE";
const HOLD_ADDRESS: &str =
    "BEGIN; INSERT INTO users (name, name_key, email, email_key, version, created_at, updated_at)
    VALUES ('Held', 'held', 'held@example.com', 'held@example.com', 1, now(), now())";

async fn start(deadline: (&str, &str)) -> App {
    let app = App::start_with(Db::Postgres, &[deadline]).await;
    app.create("John", "john@example.com").await;
    app
}

fn hold(app: &App, statement: &str) -> Connection {
    let mut holder = app.database.connect();
    holder.run(statement);
    holder
}

fn rename(app: &App) -> RequestBuilder {
    app.patch("/api/v2/users/1", &json!({ "name": "Johnny" }))
}

fn readdress(app: &App) -> RequestBuilder {
    app.patch("/api/v2/users/1", &json!({ "email": "HELD@example.com" }))
}

fn create(app: &App) -> RequestBuilder {
    app.post("/api/v2/users", &user("Late", "Held@example.com"))
}

fn delete(app: &App) -> RequestBuilder {
    app.delete("/api/v2/users/1")
}

type Ask = fn(&App) -> RequestBuilder;

/// Creates, changes and deletes its own users, and changes one that does not exist.
async fn write_others(app: &App, client: usize) {
    for turn in 0..WRITES / 4 {
        let created = app.create("Jane", &format!("jane{client}.{turn}@example.com")).await;
        let path = format!("/api/v2/users/{}", created["id"]);
        app.patch(&path, &json!({ "name": "Janet" })).answer().await.body(200);
        app.delete(&path).answer().await.expect(204);
        let missing = app.patch("/api/v2/users/999999", &json!({ "name": "Nobody" }));
        missing.answer().await.problem(404, "user_not_found");
    }
}

/// Repeats a request for what is held until the others have finished.
async fn insist(app: &App, ask: Ask, over: &Cell<bool>) {
    while !over.get() {
        let begun = Instant::now();
        ask(app).answer().await.problem(503, "unavailable");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

#[rstest]
#[case::a_user(LOCK_JOHN, rename)]
#[case::a_user_to_be_deleted(LOCK_JOHN, delete)]
#[case::an_address(HOLD_ADDRESS, create)]
#[case::an_address_for_a_user(HOLD_ADDRESS, readdress)]
#[tokio::test]
async fn nobody_else_waits(#[case] holds: &str, #[case] ask: Ask) {
    let app = start(DEADLINE).await;
    let holder = hold(&app, holds);
    let over = Cell::new(false);
    let insisting = at_once(3, async |_| insist(&app, ask, &over).await);
    let others = async {
        let begun = Instant::now();
        at_once(OTHERS, async |client: usize| write_others(&app, client).await).await;
        over.set(true);
        begun.elapsed()
    };
    let (_, took) = futures::join!(insisting, others);
    assert!(took < BY, "{took:?}");
    drop(holder);
    assert_eq!(app.everyone().await.len(), 1, "503 is not executed");
    assert_eq!(app.everyone().await[0]["version"], 1, "503 is not executed");
}

const CROWD: usize = 12;
const LOCK_ALL: &str = "BEGIN; SELECT FROM users FOR UPDATE";
const HOLD_ALL_ADDRESSES: &str =
    "BEGIN; INSERT INTO users (name, name_key, email, email_key, version, created_at, updated_at)
    SELECT 'Held', 'held', email, email, 1, now(), now() FROM
        (SELECT format('held%s@example.com', n) AS email FROM generate_series(0, 11) n) addresses";

fn rename_one(server: &Server, client: usize) -> RequestBuilder {
    server.patch(&format!("/api/v2/users/{}", client + 1), &json!({ "name": "Johnny" }))
}

fn create_one(server: &Server, client: usize) -> RequestBuilder {
    server.post("/api/v2/users", &user("Late", &format!("held{client}@example.com")))
}

/// However long an attempt takes, none is in flight when its caller gives up. So every caller gets "not executed".
#[rstest]
#[case::users(LOCK_ALL, rename_one)]
#[case::addresses(HOLD_ALL_ADDRESSES, create_one)]
#[tokio::test]
async fn what_is_held_is_not_tried_late(
    #[case] holds: &str,
    #[case] ask: fn(server: &Server, client: usize) -> RequestBuilder,
) {
    const FAR: Duration = Duration::from_millis(300);
    const ONE_BY_ONE: Duration = Duration::from_millis(60);
    let database = Db::Postgres.fresh();
    let far = Far::before(database.address()).await;
    let program = database.program().env("DATABASE_URL", database.url_over(far.port())).envs(&[DEADLINE]);
    let server = Server::listening(program.env("DB_MAX_WAIT", "4s"));
    server.ready().await;
    for client in 0..CROWD {
        server.create("John", &format!("john{client}@example.com")).await;
    }
    let before = server.everyone().await;
    let mut holder = database.connect();
    holder.run(holds);
    far.answers_take(FAR);
    // Staggered, so that the deadlines fall into every moment of an attempt.
    let answers = at_once(CROWD, async |client: usize| {
        sleep(ONE_BY_ONE * u32::try_from(client).unwrap()).await;
        ask(&server, client).answer().await
    });
    for answer in answers.await {
        answer.problem(503, "unavailable");
    }
    far.answers_take(Duration::ZERO);
    holder.run("ROLLBACK");
    assert_eq!(server.everyone().await, before, "503 is not executed");
}

async fn waits(app: &App, messages: f64) {
    let series = "db_messages_set_aside{lane=\"writes\"}";
    until("the messages are set aside", SOON, async || app.metrics().await.value(series) == messages).await;
}

/// Sends a request, waits until it is set aside, ends the holder's transaction, and returns the answer.
async fn answer_after(app: &App, request: RequestBuilder, mut holder: Connection, end: &str) -> Answer {
    let release = async {
        waits(app, 1.0).await;
        holder.run(end);
    };
    tokio::join!(request.answer(), release).0
}

#[tokio::test]
async fn a_user_is_changed_once_it_is_free() {
    let app = start(LONG).await;
    let renamed = answer_after(&app, rename(&app), hold(&app, LOCK_JOHN), "ROLLBACK").await;
    assert_eq!(renamed.body(200)["version"], 2);
    answer_after(&app, delete(&app), hold(&app, LOCK_JOHN), "COMMIT").await.expect(204);
    waits(&app, 0.0).await;
}

#[tokio::test]
async fn an_address_is_taken_or_free_after_all() {
    let app = start(LONG).await;
    let created = answer_after(&app, create(&app), hold(&app, HOLD_ADDRESS), "ROLLBACK").await.body(201);
    let path = format!("/api/v2/users/{}", created["id"]);
    app.delete(&path).answer().await.expect(204);
    let moved = answer_after(&app, readdress(&app), hold(&app, HOLD_ADDRESS), "ROLLBACK").await.body(200);
    assert_eq!(moved["email"], "HELD@example.com");
    app.patch("/api/v2/users/1", &json!({ "email": "john@example.com" })).answer().await.body(200);
    let taken = answer_after(&app, readdress(&app), hold(&app, HOLD_ADDRESS), "COMMIT").await;
    taken.problem(409, "email_taken");
    app.database.connect().run("DELETE FROM users WHERE email_key = 'held@example.com'");
    answer_after(&app, create(&app), hold(&app, HOLD_ADDRESS), "COMMIT").await.problem(409, "email_taken");
}

/// Each message expects the version that the one before it leaves, whether a row or an address delayed the first.
#[rstest]
#[case::a_user(LOCK_JOHN, rename)]
#[case::an_address(HOLD_ADDRESS, readdress)]
#[tokio::test]
async fn messages_for_one_user_keep_their_order(#[case] holds: &str, #[case] first: Ask) {
    let app = start(LONG).await;
    let mut holder = hold(&app, holds);
    let expecting = |request: RequestBuilder, version: usize| request.header(IF_MATCH, format!("\"{version}\""));
    let in_order = at_once(4, async |place: usize| {
        // Each waits until those before it have been set aside.
        #[expect(clippy::cast_precision_loss, reason = "at most four")]
        waits(&app, place as f64).await;
        match place {
            0 => expecting(first(&app), 1).answer().await,
            3 => expecting(delete(&app), 4).answer().await,
            _ => expecting(rename(&app), place + 1).answer().await,
        }
    });
    let release = async {
        waits(&app, 4.0).await;
        holder.run("ROLLBACK");
    };
    let (answers, ()) = futures::join!(in_order, release);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 200, 204], "{answers:?}");
}

#[rstest]
#[case::a_user(LOCK_JOHN, rename)]
#[case::an_address(HOLD_ADDRESS, create)]
#[tokio::test]
async fn what_is_held_is_tried_seldom(#[case] holds: &str, #[case] ask: Ask) {
    const TRIES: f64 = 40.0;
    let app = start(DEADLINE).await;
    let _holder = hold(&app, holds);
    let series = "db_transaction_duration_seconds_count{lane=\"writes\"}";
    let before = app.metrics().await.value(series);
    ask(&app).answer().await.problem(503, "unavailable");
    let tries = app.metrics().await.value(series) - before;
    assert!((3.0..=TRIES).contains(&tries), "{tries}");
}

/// A client that hangs up while its message waits does not hold up the next message.
#[tokio::test]
async fn who_hangs_up_is_forgotten() {
    let app = start(LONG).await;
    let mut holder = hold(&app, LOCK_JOHN);
    let gone = tokio::time::timeout(Duration::from_millis(1), rename(&app).timeout(Duration::from_secs(1)).send());
    drop(gone.await);
    let renamed = async { rename(&app).answer().await };
    let release = async {
        until("the second message waits", SOON, async || {
            app.metrics().await.value("db_messages_set_aside{lane=\"writes\"}") >= 1.0
        })
        .await;
        holder.run("ROLLBACK");
    };
    let (answer, ()) = tokio::join!(renamed, release);
    assert!(matches!(answer.body(200)["version"].as_u64(), Some(2 | 3)));
}

/// Messages beyond the room for one locked user are refused at once. Messages for other users still find room.
#[tokio::test]
async fn a_crowd_at_a_locked_user_takes_nobodys_place() {
    const ROOM: usize = 8;
    let small = [LONG, ("DB_MAX_BATCH", "8"), ("DB_MAX_WAIT", "30s")];
    let app = App::start_with(Db::Postgres, &small).await;
    app.create("John", "john@example.com").await;
    app.create("Jane", "jane@example.com").await;
    let mut holder = hold(&app, LOCK_JOHN);
    let crowd = at_once(3 * ROOM, async |_| rename(&app).answer().await.status);
    let others = async {
        until("a message is refused", SOON, async || {
            app.metrics().await.value("db_messages_refused_total{lane=\"writes\"}") >= 1.0
        })
        .await;
        let jane = async |turn: usize| {
            app.patch("/api/v2/users/2", &json!({ "name": format!("{turn}") })).answer().await.status
        };
        let statuses = at_once(ROOM, jane).await;
        holder.run("ROLLBACK");
        statuses
    };
    let (crowd, others) = futures::join!(crowd, others);
    assert_eq!(count(&others, &200), ROOM, "{others:?}");
    // One message is attempted, and as many as fit into a batch wait behind it.
    assert_eq!((count(&crowd, &200), count(&crowd, &503)), (ROOM + 1, 2 * ROOM - 1), "{crowd:?}");
}

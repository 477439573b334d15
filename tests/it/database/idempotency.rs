//! Idempotency keys under concurrency, at several replicas, after a crash, and with time.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answer, Answered, App, CLIENTS, Connection, Database, Db, Server, at_once, count, until, user};

const KEY: &str = "idempotency-key";
const SOON: Duration = Duration::from_secs(20);

async fn pair(db: Db) -> (App, Server) {
    // Long deadlines, because the machine may be busy.
    let patient = [("DB_DEADLINE", "30s"), ("DB_MAX_WAIT", "30s")];
    let app = App::start_with(db, &patient).await;
    let other = Server::listening(app.database.program().envs(&patient));
    other.ready().await;
    (app, other)
}

fn is_replay(answer: &Answer) -> bool {
    answer.headers.contains_key("idempotency-replayed")
}

/// Each round is sent by all clients, to two replicas. In each round all get the same answer, and one of them first.
#[rstest]
#[tokio::test]
async fn at_once_at_two_replicas_there_is_one_change(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (app, other) = pair(db).await;
    let replicas = [&*app, &other];
    for round in 1..=10 {
        let email = format!("john{round}@example.com");
        let created = at_once(CLIENTS, async |client: usize| {
            let create = replicas[client % 2].post("/api/v2/users", &user("John", &email));
            create.header(KEY, format!("c{round}")).answer().await
        });
        let created = created.await;
        let path = created[0].header("location").to_owned();
        let updated = at_once(CLIENTS, async |client: usize| {
            let update = replicas[client % 2].patch(&path, &json!({ "name": "Joe" }));
            update.header(KEY, format!("u{round}")).answer().await
        });
        for (answers, status) in [(created, 201), (updated.await, 200)] {
            assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
            let bodies = HashSet::<String>::from_iter(answers.iter().map(|answer| answer.body(status).to_string()));
            assert_eq!(bodies.len(), 1, "{bodies:?}");
        }
    }
    let versions = Vec::from_iter(app.everyone().await.into_iter().map(|user| user["version"].clone()));
    assert_eq!(versions, [2; 10]);
}

/// One key for as many requests as there are clients: one is executed, and the others learn that they are others.
#[rstest]
#[tokio::test]
async fn of_different_requests_with_one_key_one_is_executed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (app, other) = pair(db).await;
    let replicas = [&*app, &other];
    for round in 1..=5 {
        let statuses = at_once(CLIENTS, async |client: usize| {
            let create = user("John", &format!("john{round}.{client}@example.com"));
            let create = replicas[client % 2].post("/api/v2/users", &create).header(KEY, format!("c{round}"));
            create.answer().await.status
        });
        let statuses = statuses.await;
        assert_eq!([count(&statuses, &201), count(&statuses, &422)], [1, CLIENTS - 1], "{statuses:?}");
    }
    assert_eq!(app.everyone().await.len(), 5);
}

/// Writes with a key share batches with those without one, and with repetitions.
#[rstest]
#[tokio::test]
async fn they_share_batches_with_other_writes(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (app, other) = pair(db).await;
    let replicas = [&*app, &other];
    app.create("Joe", "joe@example.com").await;
    for round in 0..10 {
        at_once(CLIENTS, async |client: usize| {
            let email = format!("john{round}.{}@example.com", client / 4);
            let replica = replicas[client % 2];
            let create = replica.post("/api/v2/users", &user("John", &email));
            match client % 4 {
                // Two clients repeat each other, and of two others one is refused, or both.
                0 | 1 => drop(create.header(KEY, &email).answer().await),
                2 => drop(create.answer().await),
                _ => drop(replica.patch("/api/v2/users/1", &json!({ "name": email })).answer().await.body(200)),
            }
        })
        .await;
    }
    let everyone = app.everyone().await;
    assert_eq!(everyone.len(), 1 + 10 * CLIENTS / 4, "one user for each address");
    assert_eq!(everyone[0]["version"], 1 + 10 * CLIENTS / 4);
}

/// A user that another transaction has locked makes the write wait, not be executed twice.
#[tokio::test]
async fn a_locked_user_is_changed_once() {
    let (app, other) = pair(Db::Postgres).await;
    app.create("John", "john@example.com").await;
    let mut holder = app.database.connect();
    holder.run("BEGIN; UPDATE users SET name = name WHERE id = 1");
    let replicas = [&*app, &other];
    let update = at_once(8, async |client: usize| {
        let patch = replicas[client % 2].patch("/api/v2/users/1", &json!({ "name": "Joe" }));
        patch.header(KEY, "u").answer().await.body(200)["version"].clone()
    });
    let release = async {
        until("both replicas have met the lock", SOON, async || {
            let mut locked = 0;
            for replica in replicas {
                locked += replica.metrics().await.sum("db_messages_set_aside", &[("lane", "writes")]);
            }
            locked >= 2
        })
        .await;
        holder.run("ROLLBACK");
    };
    let (versions, ()) = futures::join!(update, release);
    assert_eq!(versions, [2; 8]);
}

/// Clients create users until the server is killed, and then repeat what was not answered.
#[rstest]
#[tokio::test]
async fn after_a_crash_the_repetition_finds_what_was_done(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    let (answered, open) = (RefCell::new(0), RefCell::new(Vec::new()));
    let create = async |app: &App, key: &str| {
        let john = user("John", &format!("{key}@example.com"));
        app.post("/api/v2/users", &john).header(KEY, key).try_answer().await.map(|answer| answer.body(201))
    };
    let work = at_once(CLIENTS, async |client: usize| {
        for turn in 0.. {
            let key = format!("{client}.{turn}");
            if create(&app, &key).await.is_err() {
                open.borrow_mut().push(key);
                return;
            }
            *answered.borrow_mut() += 1;
        }
    });
    let kill = async {
        until("enough users are acknowledged", Duration::from_mins(1), async || *answered.borrow() >= 500).await;
        app.signal("KILL");
    };
    futures::join!(work, kill);
    app.restart().await;
    let open = open.into_inner();
    for key in &open {
        let created = create(&app, key).await.unwrap();
        assert_eq!(created, create(&app, key).await.unwrap());
    }
    assert_eq!(app.everyone().await.len(), answered.into_inner() + open.len(), "each key is one user");
}

/// A database with keys, which no server has used yet.
fn with_keys(db: Db, keys: usize, stored_at: &str) -> (Database, Connection) {
    let database = db.fresh();
    database.program().args(["migrate"]).run().succeeded();
    let mut connection = database.connect();
    let blob = match db {
        Db::Sqlite => "CAST(n AS BLOB)",
        Db::Postgres => "CAST(CAST(n AS TEXT) AS BYTEA)",
    };
    connection.run(&format!(
        "INSERT INTO idempotency_keys (key, request, stored_at, position, user_id, version)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {keys})
        SELECT {blob}, {blob}, {stored_at}, n, n, 1 FROM numbers"
    ));
    (database, connection)
}

fn left(connection: &mut Connection) -> String {
    connection.facts("SELECT CAST(count(*) AS TEXT) AS fact FROM idempotency_keys").remove(0)
}

#[rstest]
#[tokio::test]
async fn old_keys_go(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = with_keys(db, 2500, "'2020-01-01 00:00:00.000000'");
    let app = App::on(database, &[("IDEMPOTENCY_RETENTION", "1h")]).await;
    let create = || app.post("/api/v2/users", &user("John", "john@example.com")).header(KEY, "k");
    let first = create().answer().await.body(201);
    until("the old keys are gone", SOON, async || left(&mut connection) == "1").await;
    until("they are counted", SOON, async || app.metrics().await.value("idempotency_keys_pruned_total") == 2500.0)
        .await;
    assert_eq!(create().answer().await.body(201), first);
}

#[rstest]
#[tokio::test]
async fn beyond_the_bound_the_oldest_go(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, mut connection) = with_keys(db, 2500, "'2100-01-01 00:00:00.000000'");
    let _app = App::on(database, &[("IDEMPOTENCY_MAX_KEYS", "10")]).await;
    until("few keys are left", SOON, async || left(&mut connection) == "10").await;
    let oldest = connection.facts("SELECT CAST(min(id) AS TEXT) AS fact FROM idempotency_keys");
    assert_eq!(oldest, ["2491"]);
}

/// What an operator has erased, as docs/events.md says, brings the person not back.
#[rstest]
#[tokio::test]
async fn an_erased_answer_creates_nobody(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let create = || app.post("/api/v2/users", &user("John", "john@example.com")).header(KEY, "k");
    create().answer().await.expect(201);
    app.delete("/api/v2/users/1").answer().await.empty(204);
    app.database.connect().run("UPDATE idempotency_keys SET name = NULL, email = NULL WHERE user_id = 1");
    create().answer().await.problem(404, "user_not_found");
    assert_eq!(app.everyone().await, [Value::Null; 0]);
}

/// Many repetitions of what is refused are as many answers of one decision, not as many batches.
#[rstest]
#[tokio::test]
async fn repetitions_of_a_refusal_are_refused_together(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (app, other) = pair(db).await;
    let replicas = [&*app, &other];
    app.create("John", "john@example.com").await;
    let codes = at_once(CLIENTS, async |client: usize| {
        let create = replicas[client % 2].post("/api/v2/users", &user("Jane", "john@example.com"));
        create.header(KEY, "k").answer().await.status
    });
    assert_eq!(count(&codes.await, &409), CLIENTS);
}

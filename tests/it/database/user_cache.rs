//! Users are answered from memory, and never as they were: whoever has changed them, the next read shows it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use user_service::domain::{Email, Freshness, UserId};

use crate::support::{Answered, App, CLIENTS, Connection, Database, Db, Server, at_once, library, until};

pub async fn get(server: &Server, id: &Value) -> Option<Value> {
    let answer = server.get(&format!("/api/v2/users/{id}")).answer().await;
    (answer.status != 404).then(|| answer.body(200))
}

pub async fn find(server: &Server, email: &str) -> Option<Value> {
    let answer = server.get(&format!("/api/v2/users?email={email}")).answer().await;
    answer.body(200)["users"].as_array().expect("users").first().cloned()
}

pub async fn hits(server: &Server) -> usize {
    count(server.metrics().await.value("user_cache_hits_total"))
}

fn count(value: f64) -> usize {
    format!("{value:.0}").parse().expect("a count")
}

/// Reads until the user is answered from memory: the first read of a user asks the database.
pub async fn warm(server: &Server, user: &Value) {
    let (id, email) = (&user["id"], user["email"].as_str().expect("an email"));
    until("the user is in memory", Duration::from_secs(20), async || {
        let before = hits(server).await;
        assert_eq!((get(server, id).await.as_ref(), find(server, email).await.as_ref()), (Some(user), Some(user)));
        hits(server).await == before + 2
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn a_change_by_the_service_is_seen_by_the_next_read(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = app.create("John", "john@example.com").await;
    assert_eq!(find(&app, "jack@example.com").await, None);
    warm(&app, &john).await;
    let path = format!("/api/v2/users/{}", john["id"]);
    let renamed = app.patch(&path, &json!({ "name": "Johnny" })).answer().await.body(200);
    assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&renamed));
    assert_eq!(find(&app, "John@Example.com").await.as_ref(), Some(&renamed));
    let moved = app.patch(&path, &json!({ "email": "Jack@example.com" })).answer().await.body(200);
    assert_eq!(find(&app, "john@example.com").await, None);
    assert_eq!(find(&app, "jack@example.com").await.as_ref(), Some(&moved));
    assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&moved));
    app.delete(&path).answer().await.expect(204);
    assert_eq!((get(&app, &john["id"]).await, find(&app, "jack@example.com").await), (None, None));
    let jack = app.create("Jack", "jack@example.com").await;
    assert_eq!(find(&app, "jack@example.com").await.as_ref(), Some(&jack));
    assert_eq!((get(&app, &john["id"]).await, get(&app, &jack["id"]).await.as_ref()), (None, Some(&jack)));
}

/// On PostgreSQL the next read finds it in the database.
#[tokio::test]
async fn what_the_service_has_written_to_sqlite_is_in_memory() {
    let app = App::start(Db::Sqlite).await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    let path = format!("/api/v2/users/{}", john["id"]);
    let renamed = app.patch(&path, &json!({ "name": "Johnny" })).answer().await.body(200);
    let before = hits(&app).await;
    assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&renamed));
    assert_eq!(find(&app, "John@Example.com").await.as_ref(), Some(&renamed));
    assert_eq!(hits(&app).await, before + 2);
}

#[rstest]
#[tokio::test]
async fn a_change_by_another_process_is_seen_by_the_next_read(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut other = app.database.connect();
    let john = app.create("John", "john@example.com").await;
    let id = &john["id"];
    for round in 0..20 {
        let user = get(&app, id).await.expect("the user");
        warm(&app, &user).await;
        other.run(&format!("UPDATE users SET name = 'Round {round}', version = version + 1 WHERE id = {id}"));
        assert_eq!(get(&app, id).await.expect("the user")["name"], format!("Round {round}"));
    }
    let user = get(&app, id).await.expect("the user");
    warm(&app, &user).await;
    other.run(&format!("UPDATE users SET email = 'jack@example.com', email_key = 'jack@example.com' WHERE id = {id}"));
    assert_eq!(find(&app, "john@example.com").await, None);
    let jack = find(&app, "jack@example.com").await.expect("the user");
    assert_eq!(&jack["id"], id);
    warm(&app, &jack).await;
    other.run(&format!("DELETE FROM users WHERE id = {id}"));
    assert_eq!((get(&app, id).await, find(&app, "jack@example.com").await), (None, None));
    // The id and the address come back.
    let row = "'Jack', 'jack', 'jack@example.com', 'jack@example.com', 1, '2026-01-01 00:00:00.000000', \
        '2026-01-01 00:00:00.000000'";
    other.run(&format!(
        "INSERT INTO users (id, name, name_key, email, email_key, version, created_at, updated_at) VALUES ({id}, {row})"
    ));
    assert_eq!(get(&app, id).await, find(&app, "jack@example.com").await);
    assert_eq!(get(&app, id).await.expect("the user")["created_at"], "2026-01-01T00:00:00.000000Z");
}

#[rstest]
#[tokio::test]
async fn a_change_that_is_not_committed_is_not_seen(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    let mut other = app.database.connect();
    other.run("BEGIN; UPDATE users SET name = 'Jack'");
    let before = hits(&app).await;
    assert_eq!(get(&app, &john["id"]).await, Some(john.clone()));
    other.run("ROLLBACK");
    assert_eq!(get(&app, &john["id"]).await, Some(john));
    assert_eq!(hits(&app).await, before + 2);
}

/// Requests that change nothing, and the relay's and pruning's own writes, leave what is in memory.
#[rstest]
#[tokio::test]
async fn a_refused_write_flushes_nothing(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    let (before, path) = (hits(&app).await, format!("/api/v2/users/{}", john["id"]));
    for _ in 0..10 {
        app.post("/api/v2/users", &json!({ "name": "Jack", "email": "john@example.com" })).answer().await.expect(409);
        app.delete("/api/v2/users/1000").answer().await.expect(404);
        app.delete(&path).header("if-match", "\"7\"").answer().await.expect(412);
        assert_eq!(get(&app, &john["id"]).await, Some(john.clone()));
    }
    assert_eq!(hits(&app).await, before + 10);
    let flushes = app.metrics().await;
    assert_eq!(["commit", "mark"].map(|reason| flushes.sum("user_cache_flushes_total", &[("reason", reason)])), [0, 0]);
}

#[rstest]
#[tokio::test]
async fn seeding_beside_the_service_is_seen(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for round in 1..=5 {
        let id = json!(round * 10);
        assert_eq!(get(&app, &id).await, None);
        assert_eq!(get(&app, &id).await, None);
        let count = (round * 10).to_string();
        app.database.program().args(["seed", "--count", &count]).run().succeeded();
        assert!(get(&app, &id).await.is_some(), "user {id}");
    }
}

#[rstest]
#[tokio::test]
async fn without_memory_every_read_asks_the_database(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("USER_CACHE_BYTES", "0")]).await;
    let john = app.create("John", "john@example.com").await;
    for _ in 0..10 {
        assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&john));
    }
    let metrics = app.metrics().await;
    for name in ["user_cache_hits_total", "user_cache_misses_total", "user_cache_entries", "user_cache_bytes"] {
        assert_eq!(count(metrics.value(name)), 0, "{name}");
    }
    assert_eq!(metrics.sum("db_batch_size_messages_sum", &[("lane", "lookups")]), 10);
}

/// A read that begins after a write was acknowledged shows it, or a later one: of this service, or of another process.
#[rstest]
#[tokio::test]
async fn no_read_is_older_than_an_acknowledged_write(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const USERS: usize = 4;
    let app = App::start(db).await;
    let mut ids = Vec::new();
    for number in 0..USERS {
        ids.push(app.create("John", &format!("john{number}@example.com")).await["id"].clone());
    }
    let acknowledged: [AtomicI64; USERS] = [const { AtomicI64::new(1) }; USERS];
    let database = &app.database;
    let read = async |at: usize, client: usize| {
        let least = acknowledged[at].load(Ordering::SeqCst);
        let user = if client.is_multiple_of(2) {
            get(&app, &ids[at]).await
        } else {
            find(&app, &format!("john{at}@example.com")).await
        };
        let version = user.expect("a user")["version"].as_i64().expect("a version");
        assert!(version >= least, "version {version} after {least}");
    };
    let write = async |at: usize| {
        let body = json!({ "name": "John" });
        let user = app.patch(&format!("/api/v2/users/{}", ids[at]), &body).answer().await.body(200);
        acknowledged[at].fetch_max(user["version"].as_i64().expect("a version"), Ordering::SeqCst);
    };
    let is_over = AtomicBool::new(false);
    let of_others = async {
        let (ids, database) = (ids.clone(), database.connect());
        let mut database = Some(database);
        while !is_over.load(Ordering::SeqCst) {
            for (at, id) in ids.iter().enumerate() {
                let version;
                (database, version) = change_beside(database.take().expect("a connection"), id).await;
                acknowledged[at].fetch_max(version, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let clients = async {
        at_once(CLIENTS, async |client: usize| {
            for turn in 0..100 {
                let at = (client + turn) % USERS;
                if client.is_multiple_of(8) { write(at).await } else { read(at, client).await }
            }
        })
        .await;
        is_over.store(true, Ordering::SeqCst);
    };
    futures::join!(clients, of_others);
    assert!(hits(&app).await > 100, "the cache took part");
}

/// Raises a user's version by SQL, and returns it with the connection.
async fn change_beside(mut connection: Connection, id: &Value) -> (Option<Connection>, i64) {
    let change =
        format!("UPDATE users SET version = version + 1 WHERE id = {id} RETURNING CAST(version AS TEXT) AS fact");
    let work = move || {
        let version = connection.facts(&change)[0].parse().expect("a version");
        (Some(connection), version)
    };
    tokio::task::spawn_blocking(work).await.expect("a change")
}

/// Without `-shm`, everything is opened anew, and the cache sees commits there.
#[tokio::test]
async fn after_a_lost_file_the_cache_sees_commits_again() {
    let app = App::start(Db::Sqlite).await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    let path = format!("/api/v2/users/{}", john["id"]);
    std::fs::remove_file(shm(&app.database)).unwrap();
    until("the files are made anew", Duration::from_secs(20), async || {
        let _ = app.patch(&path, &json!({ "name": "Jack" })).answer().await;
        shm(&app.database).exists() && app.is_ready().await
    })
    .await;
    let jack = app.patch(&path, &json!({ "name": "Jack" })).answer().await.body(200);
    warm(&app, &jack).await;
    app.database.connect().run("UPDATE users SET name = 'Jim', version = version + 1");
    assert_eq!(get(&app, &john["id"]).await.expect("the user")["name"], "Jim");
}

fn shm(database: &Database) -> PathBuf {
    format!("{}-shm", database.file().display()).into()
}

/// Another process that writes to the database. It gives up soon.
fn is_locked_out(database: &Database) -> bool {
    let program = database.program().env("DB_DEADLINE", "20ms");
    let output = program.args(["seed", "--count", "1"]).run();
    assert!(output.code == Some(0) || output.stderr.contains("locked"), "{output:?}");
    output.code != Some(0)
}

/// SQLite's locks on `-shm` belong to the process: it would lose them all if it closed any descriptor of the file. This
/// process has the cache, and holds the lock.
#[tokio::test]
async fn reading_the_index_drops_no_lock() {
    let database = Db::Sqlite.fresh();
    database.program().args(["migrate"]).run().succeeded();
    let (storage, running) = library(&database);
    let id = UserId::parse("1").expect("an id");
    let address = Email::parse_to_find("john@example.com").expect("an address");
    let read = async || {
        let latest = Freshness::LATEST;
        assert_eq!(storage.get_user(id, &latest).await.expect("an answer").value, None);
        assert_eq!(storage.get_user_by_email(address.clone(), &latest).await.expect("an answer").value, None);
    };
    until("the storage is ready", Duration::from_secs(20), async || {
        storage.readiness() == user_service::storage::Readiness::Ready
    })
    .await;
    read().await;
    let mut lock = database.connect();
    lock.run("BEGIN IMMEDIATE");
    for _ in 0..1000 {
        read().await;
    }
    assert!(is_locked_out(&database), "the lock no longer excludes another process");
    // So would it be if the file was closed.
    drop(File::open(shm(&database)).unwrap());
    assert!(!is_locked_out(&database), "this test cannot fail");
    lock.run("ROLLBACK");
    drop(storage);
    assert!(running.stop(Duration::from_secs(20)));
}

//! The user cache on PostgreSQL, where the log of events says what has changed: what changes users without an event, events
//! that are committed late, and logs that are not the one that was read.

use std::time::Duration;

use serde_json::{Value, json};

use super::user_cache::{find, get, hits, warm};
use crate::support::{Answered, App, Db, Server, until};

/// The gauges and counters of the cache.
async fn gauge(server: &Server, name: &str) -> usize {
    format!("{:.0}", server.metrics().await.value(name)).parse().expect("a count")
}

async fn flushes(server: &Server, reason: &str) -> u64 {
    server.metrics().await.sum("user_cache_flushes_total", &[("reason", reason)])
}

async fn app() -> App {
    App::start(Db::Postgres).await
}

/// A second replica on the same database.
async fn replica(app: &App) -> Server {
    let other = Server::listening(app.database.program());
    other.ready().await;
    other
}

async fn rename(server: &Server, id: &Value, name: &str) -> Value {
    server.patch(&format!("/api/v2/users/{id}"), &json!({ "name": name })).answer().await.body(200)
}

/// Each leaves a mark in the log, whatever it does.
#[tokio::test]
async fn every_statement_of_an_operator_is_seen() {
    let app = app().await;
    let mut operator = app.database.connect();
    let john = app.create("John", "john@example.com").await;
    let id = &john["id"];
    let row = "'Jim', 'jim', 'jim@example.com', 'jim@example.com', 1, now(), now()";
    let columns = "name, name_key, email, email_key, version, created_at, updated_at";
    warm(&app, &john).await;
    operator.run("UPDATE users SET name = 'Jack'");
    assert_eq!(get(&app, id).await.expect("the user")["name"], "Jack");
    operator
        .run("SET session_replication_role = replica; UPDATE users SET name = 'Joe'; RESET session_replication_role");
    assert_eq!(get(&app, id).await.expect("the user")["name"], "Joe");
    operator.run("MERGE INTO users USING (SELECT 1) AS one ON true WHEN MATCHED THEN UPDATE SET name = 'Jane'");
    assert_eq!(get(&app, id).await.expect("the user")["name"], "Jane");
    operator.run("WITH gone AS (DELETE FROM users RETURNING *) INSERT INTO held_events SELECT 1, id, 0 FROM gone");
    assert_eq!((get(&app, id).await, find(&app, "john@example.com").await), (None, None));
    assert_eq!(find(&app, "jim@example.com").await, None);
    operator.run(&format!("INSERT INTO users ({columns}) VALUES ({row})"));
    let jim = find(&app, "jim@example.com").await.expect("a user");
    assert_eq!(get(&app, &jim["id"]).await.as_ref(), Some(&jim));
    operator.run("TRUNCATE users");
    assert_eq!((get(&app, &jim["id"]).await, find(&app, "jim@example.com").await), (None, None));
    operator.run(&format!("COPY users ({columns}) FROM PROGRAM 'echo \"Jim,jim,jim@example.com,jim@example.com,1,2026-01-01,2026-01-01\"' CSV"));
    assert!(find(&app, "jim@example.com").await.is_some());
    assert!(flushes(&app, "mark").await >= 6);
}

/// A statement that changes no row drops everything: so an operator flushes all replicas.
#[tokio::test]
async fn a_statement_without_a_row_flushes() {
    let app = app().await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    app.database.connect().run("UPDATE users SET id = id WHERE false");
    let before = hits(&app).await;
    assert_eq!(get(&app, &john["id"]).await, Some(john));
    assert_eq!((hits(&app).await, flushes(&app, "mark").await), (before, 1));
}

/// The service's statements leave no mark, but what an operator's trigger does within them does.
#[tokio::test]
async fn a_trigger_within_a_statement_of_the_service_is_seen() {
    let app = app().await;
    let [john, jack] = [app.create("John", "john@example.com").await, app.create("Jack", "jack@example.com").await];
    let path = format!("/api/v2/users/{}", john["id"]);
    rename(&app, &john["id"], "Johnny").await;
    app.delete(&path).header("if-match", "\"7\"").answer().await.expect(412);
    let mut operator = app.database.connect();
    assert_eq!(operator.facts("SELECT count(*)::text AS fact FROM events WHERE user_id = 0"), ["0"]);
    operator.run(&format!(
        "CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            UPDATE users SET name = NEW.name WHERE id = {}; RETURN NULL; END $$;
         CREATE TRIGGER follow AFTER UPDATE ON users FOR EACH ROW WHEN (NEW.id = {}) EXECUTE FUNCTION follow()",
        jack["id"], john["id"]
    ));
    warm(&app, &jack).await;
    rename(&app, &john["id"], "Joe").await;
    assert_eq!(get(&app, &jack["id"]).await.expect("the user")["name"], "Joe");
}

#[tokio::test]
async fn a_change_at_one_replica_is_seen_by_the_next_read_at_the_other() {
    let app = app().await;
    let other = replica(&app).await;
    let john = app.create("John", "john@example.com").await;
    warm(&other, &john).await;
    for round in 0..20 {
        let [one, two] = if round % 2 == 0 { [&*app, &other] } else { [&other, &*app] };
        let user = rename(one, &john["id"], &format!("Round {round}")).await;
        assert_eq!(get(two, &john["id"]).await.as_ref(), Some(&user));
        warm(two, &user).await;
        warm(one, &user).await;
    }
    app.delete(&format!("/api/v2/users/{}", john["id"])).answer().await.expect(204);
    assert_eq!((get(&other, &john["id"]).await, find(&other, "john@example.com").await), (None, None));
    let jack = app.create("Jack", "john@example.com").await;
    assert_eq!(find(&other, "john@example.com").await, Some(jack));
}

/// An event is assigned its place before its transaction commits. It is seen as soon as that commits, although the
/// places after it have been read for long, and until then nobody waits for it.
#[tokio::test]
async fn an_event_that_is_committed_late_is_seen() {
    let app = app().await;
    let [john, jack] = [app.create("John", "john@example.com").await, app.create("Jack", "jack@example.com").await];
    let mut operator = app.database.connect();
    operator.run(&format!("BEGIN; UPDATE users SET name = 'Late' WHERE id = {}", john["id"]));
    for round in 0..5 {
        let user = rename(&app, &jack["id"], &format!("Round {round}")).await;
        warm(&app, &user).await;
        warm(&app, &john).await;
    }
    assert_eq!(gauge(&app, "user_cache_gaps").await, 1);
    // Longer than the keeper takes to settle a gap that nobody can fill.
    let checks = gauge(&app, "user_cache_checks_total").await;
    until("the keeper has looked", Duration::from_secs(20), async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&john));
        gauge(&app, "user_cache_checks_total").await >= checks + 10
    })
    .await;
    operator.run("COMMIT");
    assert_eq!(get(&app, &john["id"]).await.expect("the user")["name"], "Late");
    assert_eq!(gauge(&app, "user_cache_gaps").await, 0);
}

#[tokio::test]
async fn a_gap_that_nobody_can_fill_is_dropped() {
    let app = app().await;
    let mut operator = app.database.connect();
    operator.run("BEGIN; UPDATE users SET name = 'Never'; ROLLBACK");
    let john = app.create("John", "john@example.com").await;
    assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&john));
    assert_eq!(gauge(&app, "user_cache_gaps").await, 1);
    until("the gap is dropped", Duration::from_secs(20), async || {
        assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&john));
        gauge(&app, "user_cache_gaps").await == 0
    })
    .await;
    warm(&app, &john).await;
    for reason in ["log", "behind", "retention"] {
        assert_eq!(flushes(&app, reason).await, 0, "{reason}");
    }
}

/// The user with another name.
fn renamed(user: &Value, name: &str) -> Value {
    let mut renamed = user.clone();
    renamed["name"] = json!(name);
    renamed
}

/// Waits until the cache has started anew, with what the database has by now.
async fn is_flushed(app: &App, reason: &str, user: &Value) {
    assert_eq!(get(app, &user["id"]).await.as_ref(), Some(user));
    assert_eq!(flushes(app, reason).await, 1);
    warm(app, user).await;
}

#[tokio::test]
async fn pruned_events_that_were_not_read_start_over() {
    let app = app().await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    // A replica was frozen meanwhile.
    app.database
        .connect()
        .run("BEGIN; UPDATE users SET name = 'Jack'; DELETE FROM events; UPDATE event_log SET pruned_to = 2; COMMIT");
    is_flushed(&app, "retention", &renamed(&john, "Jack")).await;
}

/// As after a restored backup, whose log has other events at the same places.
#[tokio::test]
async fn another_log_starts_over() {
    let app = app().await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    app.database.connect().run(
        "BEGIN; ALTER TABLE users DISABLE TRIGGER ALL; UPDATE users SET name = 'Jack'; UPDATE events SET salt = 7; COMMIT",
    );
    is_flushed(&app, "log", &renamed(&john, "Jack")).await;
}

/// More than one look-up reads.
#[tokio::test]
async fn too_many_changes_since_the_last_read_start_over() {
    let app = app().await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    app.database.connect().run(
        "BEGIN; ALTER TABLE users DISABLE TRIGGER ALL;
         INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt)
            SELECT 2, 1000 + i, 2, 'x', 'x' || i || '@x.co', now(), now(), i FROM generate_series(1, 3000) AS i; COMMIT",
    );
    assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&john));
    assert_eq!(flushes(&app, "behind").await, 1);
    warm(&app, &john).await;
}

/// An event with a place of its own leaves places below it that the service is still going to draw.
#[tokio::test]
async fn a_place_that_was_not_drawn_settles_nothing() {
    let app = app().await;
    let john = app.create("John", "john@example.com").await;
    warm(&app, &john).await;
    app.database
        .connect()
        .run("INSERT INTO events (id, kind, user_id, version, occurred_at, salt) VALUES (100, 2, 7, 1, now(), 7)");
    assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&john));
    assert_eq!(gauge(&app, "user_cache_gaps").await, 1);
    // Longer than the keeper takes to settle a gap.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&john));
    warm(&app, &john).await;
    for round in 0..5 {
        let user = rename(&app, &john["id"], &format!("Round {round}")).await;
        assert_eq!(get(&app, &john["id"]).await.as_ref(), Some(&user));
    }
    // Nor does the cache of a replica that starts believe it.
    let other = replica(&app).await;
    let user = rename(&app, &john["id"], "Johnny").await;
    assert_eq!(get(&other, &john["id"]).await.as_ref(), Some(&user));
    rename(&app, &john["id"], "Jack").await;
    assert_eq!(get(&other, &john["id"]).await.expect("the user")["name"], "Jack");
}

/// An operator may blank events, in whole or in part. They still say that their user has changed.
#[tokio::test]
async fn an_event_without_all_of_its_data_is_seen() {
    let app = app().await;
    let john = app.create("John", "john@example.com").await;
    let mut operator = app.database.connect();
    operator.run("ALTER TABLE users DISABLE TRIGGER ALL");
    let data = [
        "'Round 0', 'john@example.com', NULL, 1",
        "'Round 1', NULL, now(), 1",
        "NULL, NULL, NULL, 1",
        "'Round 3', 'john@example.com', now(), NULL",
        "'Round 4', 'john@example.com', now(), 0",
    ];
    for (round, data) in data.iter().enumerate() {
        let name = format!("Round {round}");
        let user = get(&app, &john["id"]).await.expect("the user");
        warm(&app, &user).await;
        operator.run(&format!(
            "BEGIN; UPDATE users SET name = '{name}' WHERE id = {id};
             INSERT INTO events (name, email, created_at, known_columns, kind, user_id, version, occurred_at, salt)
                VALUES ({data}, 2, {id}, 2, now(), {round}); COMMIT",
            id = john["id"]
        ));
        assert_eq!(get(&app, &john["id"]).await.expect("the user")["name"], name.as_str(), "{data}");
        assert_eq!(find(&app, "john@example.com").await.expect("the user")["name"], name.as_str(), "{data}");
    }
}

/// A replica of the release before updates a user whose profile it does not know. It loses none of it, and this release
/// shows all of it, although it has the user in memory.
#[tokio::test]
async fn a_profile_outlives_a_replica_that_does_not_know_it() {
    let app = app().await;
    let body = json!({ "name": "John", "email": "john@example.com", "external_id": "x", "attributes": { "a": 1.5 } });
    let john = app.post("/api/v2/users", &body).answer().await.body(201);
    let mut earlier = app.database.connect();
    for round in 2..5 {
        let user = get(&app, &john["id"]).await.expect("the user");
        warm(&app, &user).await;
        earlier.run(&format!(
            "BEGIN; SET LOCAL user_service.records = 'on';
             UPDATE users SET name = 'Round {round}', name_key = 'round {round}', version = {round}, updated_at = now() WHERE id = {id};
             INSERT INTO events (name, email, created_at, known_columns, kind, user_id, version, occurred_at, salt)
                VALUES ('Round {round}', 'john@example.com', now(), 1, 2, {id}, {round}, now(), {round}); COMMIT",
            id = john["id"]
        ));
        let user = get(&app, &john["id"]).await.expect("the user");
        assert_eq!(user["name"], format!("Round {round}"));
        assert_eq!((&user["external_id"], &user["attributes"]), (&json!("x"), &json!({ "a": 1.5 })));
    }
}

//! How indexes of attributes are made and dropped.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Connection, Database, Db, Server, until};

const USERS: &str = "/api/v2/users";
const BY_TEAM: &str = "/api/v2/users?attributes.team=red&include_total=true&page_size=1";
const SOON: Duration = Duration::from_mins(1);

/// Users from before there was an index.
const USERS_BEFORE: i64 = 2_500;

/// A database with users, a third of whom are in the red team.
async fn with_users(db: Db) -> Database {
    let app = App::start(db).await;
    for begin in (0..USERS_BEFORE).step_by(500) {
        let create = |n: i64| {
            let team = if n % 3 == 0 { "red" } else { "blue" };
            json!({ "create": { "name": "N", "email": format!("{n}@b.co"), "attributes": { "team": team, "n": n } } })
        };
        let operations = Vec::from_iter((begin..begin + 500).map(create));
        app.post(&format!("{USERS}:batchWrite"), &json!({ "operations": operations })).answer().await.body(200);
    }
    app.get(BY_TEAM).answer().await.problem(400, "invalid_query");
    app.stop()
}

async fn reds(app: &Server) -> Value {
    app.get(BY_TEAM).answer().await.body(200)["total"].clone()
}

async fn percent(app: &Server) -> Value {
    app.get("/ready").answer().await.body(200)["attribute_indexes"].clone()
}

const RED: i64 = 834;

#[rstest]
#[tokio::test]
async fn a_filter_waits_for_its_index(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = with_users(db).await;
    // Neither database can make an index meanwhile.
    let lock = database.lock_writers();
    let app = App::on(database, &[("ATTRIBUTES_INDEXED", "team")]).await;
    let refused = app.get(BY_TEAM).answer().await;
    refused.problem(503, "index_not_ready");
    assert_eq!(refused.header("retry-after"), "5");
    app.get(&format!("{USERS}:export?attributes.team=red")).answer().await.problem(503, "index_not_ready");
    assert_eq!(percent(&app).await, json!([{ "name": "team", "percent": 0 }]));
    // A filter without it is answered.
    assert_eq!(app.get(&format!("{USERS}?include_total=true")).answer().await.body(200)["total"], USERS_BEFORE);
    drop(lock);
    app.indexed().await;
    assert_eq!(reds(&app).await, RED);
    assert_eq!(percent(&app).await, json!([{ "name": "team", "percent": 100 }]));
    app.logs("lists can be filtered by the attribute team").await;
}

/// A transaction that is open keeps PostgreSQL from ending the index, but nobody from writing.
#[tokio::test]
async fn writers_go_on_while_an_index_is_built() {
    let database = with_users(Db::Postgres).await;
    let mut open = database.connect();
    open.run("BEGIN; UPDATE users SET updated_at = updated_at WHERE id = 1");
    let app = App::on(database, &[("ATTRIBUTES_INDEXED", "team,n")]).await;
    let building = "SELECT phase AS fact FROM pg_stat_progress_create_index WHERE datname = current_database()";
    let mut look = app.database.connect();
    until("an index is being built", SOON, async || !look.facts(building).is_empty()).await;
    let red = json!({ "name": "N", "email": "new@b.co", "attributes": { "team": "red" } });
    app.post(USERS, &red).answer().await.body(201);
    app.patch(&format!("{USERS}/4"), &json!({ "attributes": { "team": "blue" } })).answer().await.body(200);
    app.get(BY_TEAM).answer().await.problem(503, "index_not_ready");
    open.run("COMMIT");
    app.indexed().await;
    assert_eq!(reds(&app).await, RED, "one is new, and one has left");
}

#[rstest]
#[tokio::test]
async fn an_index_is_made_by_a_command(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = with_users(db).await;
    let vars = [("ATTRIBUTES_INDEXED", "team"), ("DB_AUTO_MIGRATE", "false")];
    let app = App::on(database, &vars).await;
    app.get(BY_TEAM).answer().await.problem(503, "index_not_ready");
    let made = app.database.program().envs(&vars).args(["index-attributes"]).run().succeeded();
    assert!(made.stdout.ends_with("team: 100 %\n"), "{}", made.stdout);
    app.indexed().await;
    assert_eq!(reds(&app).await, RED);
    // Again, it has nothing to do.
    let made = app.database.program().envs(&vars).args(["index-attributes"]).run().succeeded();
    assert_eq!(made.stdout, "team: 100 %\n");
}

#[rstest]
#[tokio::test]
async fn an_index_is_dropped_only_by_a_command(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = with_users(db).await;
    let mut app = App::on(database, &[("ATTRIBUTES_INDEXED", "team,n")]).await;
    app.indexed().await;
    // Who does not know it leaves it as it is, and up to date.
    app.restart_with(&[]).await;
    app.patch(&format!("{USERS}/4"), &json!({ "attributes": { "team": "blue" } })).answer().await.body(200);
    let drop_index = |vars: &[(&str, &str)], name: &str| {
        app.database.program().envs(vars).args(["drop-attribute-index", name]).run()
    };
    drop_index(&[("ATTRIBUTES_INDEXED", "team")], "team").exited(1);
    drop_index(&[], "other").exited(1);
    drop_index(&[], "te am").exited(2);
    drop_index(&[], "n").succeeded();
    drop_index(&[], "n").exited(1);
    app.restart_with(&[("ATTRIBUTES_INDEXED", "team")]).await;
    app.indexed().await;
    assert_eq!(reds(&app).await, RED - 1);
    // A replica that still filters by it refuses until it is there again.
    app.database.program().args(["drop-attribute-index", "team"]).run().succeeded();
    // It never answers by a part of it.
    until("the index is there again", SOON, async || {
        let answer = app.get(BY_TEAM).answer().await;
        if answer.status == 200 {
            assert_eq!(answer.json()["total"], RED - 1);
        } else {
            answer.problem(503, "index_not_ready");
        }
        answer.status == 200
    })
    .await;
}

/// What a build has left that failed is built anew.
#[tokio::test]
async fn an_index_that_could_not_be_built_is_built_anew() {
    let database = with_users(Db::Postgres).await;
    let mut open = database.connect();
    open.run("BEGIN; UPDATE users SET updated_at = updated_at WHERE id = 1");
    let app = App::on(database, &[("ATTRIBUTES_INDEXED", "team,n")]).await;
    let mut sql = app.database.connect();
    let cancel = "SELECT pg_cancel_backend(pid)::text AS fact FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%n\" ON users%'";
    until("a build is cancelled", SOON, async || !sql.facts(cancel).is_empty()).await;
    assert!(invalid(&mut sql).contains(&"users_attribute_n".to_owned()));
    open.run("COMMIT");
    app.logs("cannot build an index of attributes").await;
    app.indexed().await;
    assert_eq!((reds(&app).await, invalid(&mut sql)), (json!(RED), vec![]));
}

/// Neither a stricter isolation level nor a timeout of statements, set for the whole database, keeps an index from being built.
#[tokio::test]
async fn the_settings_of_a_database_are_not_in_the_way() {
    let database = with_users(Db::Postgres).await;
    let mut sql = database.connect();
    let name = sql.facts("SELECT current_database()::text AS fact").concat();
    sql.run(&format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"));
    sql.run(&format!("ALTER DATABASE {name} SET statement_timeout = '1s'"));
    let app = App::on(database, &[("ATTRIBUTES_INDEXED", "team")]).await;
    app.indexed().await;
    assert_eq!(reds(&app).await, RED);
}

/// A service that starts while nobody can write reads by the indexes that are there.
#[tokio::test]
async fn a_read_only_database_has_its_indexes() {
    let database = with_users(Db::Postgres).await;
    let vars = [("ATTRIBUTES_INDEXED", "team")];
    let app = App::on(database, &vars).await;
    app.indexed().await;
    let database = app.stop();
    let mut sql = database.connect();
    let name = sql.facts("SELECT current_database()::text AS fact").concat();
    sql.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let server = Server::listening(database.program().envs(&vars));
    server.fails_for("read_only").await;
    let ready = server.get("/ready").answer().await.json();
    assert_eq!(ready["attribute_indexes"], json!([{ "name": "team", "percent": 100 }]));
    assert_eq!(reds(&server).await, RED);
}

fn invalid(sql: &mut Connection) -> Vec<String> {
    sql.facts("SELECT indexrelid::regclass::text AS fact FROM pg_index WHERE NOT indisvalid")
}

/// Two replicas that start at once build one after the other, and a killed one leaves nothing that is in the way.
#[tokio::test]
async fn replicas_build_one_at_a_time() {
    let database = with_users(Db::Postgres).await;
    let mut open = database.connect();
    open.run("BEGIN; UPDATE users SET updated_at = updated_at WHERE id = 1");
    let vars = [("ATTRIBUTES_INDEXED", "team,n")];
    let start = || Server::listening(database.program().envs(&vars));
    let mut killed = start();
    let building = "SELECT phase AS fact FROM pg_stat_progress_create_index WHERE datname = current_database()";
    let mut look = database.connect();
    until("an index is being built", SOON, async || look.facts(building).len() == 1).await;
    killed.kill();
    let replicas = [start(), start()];
    for replica in &replicas {
        replica.ready().await;
    }
    open.run("COMMIT");
    for replica in &replicas {
        replica.indexed().await;
        assert_eq!(reds(replica).await, RED);
    }
    assert_eq!(invalid(&mut look), [""; 0]);
}

#[tokio::test]
async fn a_build_that_was_killed_goes_on_on_sqlite() {
    let database = with_users(Db::Sqlite).await;
    let vars = [("ATTRIBUTES_INDEXED", "team,n")];
    let mut app = App::on(database, &vars).await;
    for _ in 0..3 {
        app.kill();
        app.restart_with(&vars).await;
    }
    app.indexed().await;
    assert_eq!(reds(&app).await, RED);
    let entries = app
        .database
        .connect()
        .facts("SELECT name || ' ' || count(*) AS fact FROM user_attributes GROUP BY name ORDER BY name");
    assert_eq!(entries, ["n 2500", "team 2500"]);
}

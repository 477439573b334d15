//! A database that answers but cannot serve requests: its tables are gone, or its encoding cannot store some names.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, CLIENTS, Db, Server, at_once, until, user};

#[rstest]
#[tokio::test]
async fn tables_that_are_gone_are_missed_until_they_are_back(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = app.create("John", "john@example.com").await;
    for table in ["users", "events"] {
        app.database.connect().run(&format!("ALTER TABLE {table} RENAME TO gone"));
        app.fails_for("schema").await;
        app.get("/api/v2/users/1").answer().await.unusable();
        app.get("/api/v2/users").answer().await.unusable();
        app.post("/api/v2/users", &user("Jane", "jane@example.com")).answer().await.unusable();
        app.get("/api/v2/events").answer().await.unusable();
        assert_eq!(app.metrics().await.sum("db_failing", &[("check", "schema")]), 1);
        app.database.connect().run(&format!("ALTER TABLE gone RENAME TO {table}"));
        app.ready().await;
        assert_eq!(app.get("/api/v2/users/1").answer().await.body(200), john);
    }
    app.create("Jane", "jane@example.com").await;
}

/// An empty database in place of a full one is not a first start, so the service creates no tables by itself.
#[tokio::test]
async fn a_database_that_was_made_anew_is_not_migrated_unasked() {
    let app = App::start(Db::Postgres).await;
    app.create("John", "john@example.com").await;
    app.database.connect().run("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    app.fails_for("schema").await;
    app.get("/api/v2/users/1").answer().await.unusable();
    let tables = "SELECT count(*)::text AS fact FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(app.database.connect().facts(tables), ["0"]);
    app.database.program().args(["migrate"]).run().succeeded();
    app.ready().await;
    assert_eq!(app.create("Jane", "jane@example.com").await["id"], 1);
}

#[tokio::test]
async fn an_encoding_without_some_names_refuses_those_alone() {
    let database = Db::latin1();
    let server = Server::listening(database.program());
    server.fails_for("encoding").await;
    server.logs("LATIN1").await;
    assert_eq!(server.metrics().await.sum("db_failing", &[("check", "encoding")]), 1);
    let jose = server.create("Jos\u{e9}", "jose@example.com").await;
    for (name, email, pointers) in [
        ("\u{141}\u{f3}d\u{17a}", "lodz@example.com", vec!["/name"]),
        // Latin-1 has this name, but not the key that finds it.
        ("\u{b5}", "mu@example.com", vec!["/name"]),
        ("Tokyo", "\u{6771}\u{4eac}@example.com", vec!["/email"]),
        ("\u{6771}\u{4eac}", "\u{6771}\u{4eac}@example.com", vec!["/email", "/name"]),
    ] {
        let refused = server.post("/api/v2/users", &user(name, email)).answer().await;
        assert_eq!(refused.invalid_fields(), pointers, "{name}");
    }
    server.post("/api/v1/users", &user("\u{141}", "l@example.com")).answer().await.error(400);
    let renamed = server.patch("/api/v2/users/1", &json!({ "name": "\u{6771}" })).answer().await;
    assert_eq!(renamed.invalid_fields(), ["/name"]);
    assert_eq!(server.get("/api/v2/users/1").answer().await.body(200), jose);
    // No user has a value that cannot be stored.
    for filter in ["email=%E6%9D%B1@example.com", "name_prefix=%E6%9D%B1", "name_prefix=%E6%9D%B1&include_total=true"] {
        let found = server.get(&format!("/api/v2/users?{filter}")).answer().await.body(200);
        assert_eq!(found["users"], json!([]), "{filter}");
    }
}

/// A message with a value that cannot be stored does not affect the others of its batch.
#[tokio::test]
async fn neighbours_of_a_name_without_a_place_are_served() {
    let database = Db::latin1();
    let server = Server::listening(database.program());
    server.fails_for("encoding").await;
    server.create("John", "john@example.com").await;
    for round in 0..5 {
        at_once(CLIENTS, async |client: usize| match client % 4 {
            0 => {
                let lodz = user("\u{141}", &format!("lodz{round}.{client}@example.com"));
                server.post("/api/v2/users", &lodz).answer().await.problem(422, "invalid_user");
            }
            1 => {
                server.create("Jane", &format!("jane{round}.{client}@example.com")).await;
            }
            2 => drop(server.get("/api/v2/users?email=%E6%9D%B1@example.com").answer().await.body(200)),
            _ => drop(server.get("/api/v2/users/1").answer().await.body(200)),
        })
        .await;
    }
    until("the server still answers", Duration::from_secs(5), async || {
        server.get("/api/v2/users/1").answer().await.status == 200
    })
    .await;
}

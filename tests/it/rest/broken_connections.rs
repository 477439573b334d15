//! PostgreSQL closes the pool's connections.

use std::time::Duration;

use serde_json::json;

use crate::support::{Answered, App, CLIENTS, Db, Server, at_once, until, user};

#[tokio::test]
async fn a_read_is_tried_again() {
    // Long deadlines, because the lists wait for each other on a machine that may be busy.
    let app = App::start_with(Db::Postgres, &[("DB_DEADLINE", "30s"), ("DB_MAX_WAIT", "30s")]).await;
    let john = app.create("John", "john@example.com").await;
    for _ in 0..5 {
        // Opens connections in every lane, which can then break.
        at_once(CLIENTS, async |_| app.get("/api/v2/users/1").answer().await.body(200)).await;
        app.get("/api/v2/users").answer().await.body(200);
        app.database.break_connections();
        let read = at_once(CLIENTS, async |client: usize| match client % 2 {
            0 => app.get("/api/v2/users/1").answer().await.body(200),
            _ => app.get("/api/v2/users").answer().await.body(200)["users"][0].clone(),
        })
        .await;
        assert!(read.iter().all(|user| *user == john));
    }
}

/// All connections of the lanes are idle when they are closed, so no client notices.
#[tokio::test]
async fn a_connection_that_was_idle_costs_nobody_an_answer() {
    let app = App::start(Db::Postgres).await;
    for round in 0..5 {
        let one = app.create("John", &format!("john{round}@example.com")).await;
        app.get("/api/v2/users").answer().await.body(200);
        app.database.break_connections();
        app.create("Jane", &format!("jane{round}@example.com")).await;
        let path = format!("/api/v2/users/{}", one["id"]);
        app.patch(&path, &json!({ "name": "Johnny" })).answer().await.body(200);
    }
}

#[tokio::test]
async fn a_write_is_refused_or_done_once() {
    let app = App::start(Db::Postgres).await;
    for round in 0..5 {
        app.database.break_connections();
        let answers = at_once(CLIENTS, async |client: usize| {
            let email = format!("john{round}.{client}@example.com");
            (app.post("/api/v2/users", &user("John", &email)).answer().await, email)
        })
        .await;
        let everyone = app.everyone().await;
        for (answer, email) in answers {
            let found = everyone.iter().filter(|user| user["email"] == email).count();
            match answer.status {
                201 => assert_eq!(found, 1, "{email}"),
                503 => assert_eq!(found, 0, "503 is not executed: {email}"),
                _ => drop(answer.problem(504, "outcome_unknown")),
            }
        }
        until("writes are accepted again", Duration::from_secs(5), async || {
            let late = user("Late", &format!("late{round}@example.com"));
            matches!(app.post("/api/v2/users", &late).answer().await.status, 201 | 409)
        })
        .await;
    }
}

/// The keeper's connection breaks before any request has used one.
#[tokio::test]
async fn a_start_that_waits_for_migrations_notices() {
    let database = Db::Postgres.fresh();
    let server = Server::listening(database.program().env("DB_AUTO_MIGRATE", "false"));
    until("/ready names the migrations", Duration::from_secs(5), async || {
        server.get("/ready").answer().await.json()["failing"] == "migrations"
    })
    .await;
    database.break_connections();
    database.program().args(["migrate"]).run().succeeded();
    server.ready().await;
    server.create("John", "john@example.com").await;
}

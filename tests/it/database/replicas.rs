//! Two servers on one database.

use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, CLIENTS, Db, Server, at_once, count, user};

const USERS: usize = 10;

async fn pair(db: Db) -> (App, Server) {
    pair_with(db, &[]).await
}

async fn pair_with(db: Db, vars: &[(&str, &str)]) -> (App, Server) {
    let app = App::start_with(db, vars).await;
    let other = Server::listening(app.database.program().envs(vars));
    other.ready().await;
    (app, other)
}

#[rstest]
#[tokio::test]
async fn neither_waits_for_the_other_for_ever(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (app, other) = pair(db).await;
    for number in 0..USERS {
        app.create("John", &format!("john{number}@example.com")).await;
    }
    let replicas = [&*app, &other];
    at_once(CLIENTS, async |client: usize| {
        for turn in 0..20 {
            // Half of the clients go through the users backwards.
            let number = if client % 4 < 2 { turn % USERS } else { USERS - 1 - turn % USERS };
            let path = format!("/api/v2/users/{}", number + 1);
            replicas[client % 2].patch(&path, &json!({ "name": format!("{client}") })).answer().await.body(200);
        }
    })
    .await;
    for user in app.everyone().await {
        assert_eq!(user["version"], 1 + CLIENTS * 20 / USERS, "{user}");
    }
}

/// The replicas take turns, in any order, and refuse no request meanwhile.
#[rstest]
#[tokio::test]
async fn a_crowd_at_one_user_is_served_by_both(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const TURNS: usize = 5;
    // Long deadlines, because all requests wait for one user on a machine that may be busy.
    let (app, other) = pair_with(db, &[("DB_DEADLINE", "30s"), ("DB_MAX_WAIT", "30s")]).await;
    app.create("John", "john@example.com").await;
    let replicas = [&*app, &other];
    at_once(CLIENTS, async |client: usize| {
        for _ in 0..TURNS {
            let patch = replicas[client % 2].patch("/api/v2/users/1", &json!({ "name": format!("{client}") }));
            patch.answer().await.body(200);
        }
    })
    .await;
    assert_eq!(app.everyone().await[0]["version"], 1 + CLIENTS * TURNS);
}

/// Merges at both replicas: each has read the profile that another one replaces meanwhile, and none is lost.
#[rstest]
#[tokio::test]
async fn merges_at_both_are_all_made(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const TURNS: usize = 3;
    let (app, other) = pair_with(db, &[("DB_DEADLINE", "30s"), ("DB_MAX_WAIT", "30s")]).await;
    app.create("John", "john@example.com").await;
    let replicas = [&*app, &other];
    at_once(CLIENTS, async |client: usize| {
        for turn in 0..TURNS {
            let patch = json!({ "attributes": { "all": { format!("{client}.{turn}"): 1 } } });
            replicas[client % 2].patch("/api/v2/users/1", &patch).answer().await.body(200);
        }
    })
    .await;
    for replica in replicas {
        let user = replica.get("/api/v2/users/1").answer().await.body(200);
        assert_eq!(user["version"], 1 + CLIENTS * TURNS);
        assert_eq!(user["attributes"]["all"].as_object().unwrap().len(), CLIENTS * TURNS);
    }
}

#[rstest]
#[tokio::test]
async fn one_of_both_gets_the_email(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (app, other) = pair(db).await;
    let replicas = [&*app, &other];
    for round in 0..5 {
        let john = user("John", &format!("john{round}@example.com"));
        let statuses = at_once(CLIENTS, async |client: usize| {
            replicas[client % 2].post("/api/v2/users", &john).answer().await.status
        })
        .await;
        assert_eq!((count(&statuses, &201), count(&statuses, &409)), (1, CLIENTS - 1), "{statuses:?}");
    }
}

#[rstest]
#[tokio::test]
async fn one_of_both_wins_a_guarded_update(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (app, other) = pair(db).await;
    app.create("John", "john@example.com").await;
    let replicas = [&*app, &other];
    for version in 1..=5 {
        let statuses = at_once(CLIENTS, async |client: usize| {
            let patch = replicas[client % 2].patch("/api/v2/users/1", &json!({ "name": format!("{client}") }));
            patch.header(IF_MATCH, format!("\"{version}\"")).answer().await.status
        })
        .await;
        assert_eq!((count(&statuses, &200), count(&statuses, &412)), (1, CLIENTS - 1), "{statuses:?}");
    }
}

#[rstest]
#[tokio::test]
async fn a_page_token_is_good_on_both(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (app, other) = pair(db).await;
    for number in 0..3 {
        app.create("John", &format!("john{number}@example.com")).await;
    }
    for query in ["page_size=2", "page_size=2&name_prefix=jo"] {
        let next = app.get(&format!("/api/v2/users?{query}")).answer().await.next_link().expect("a second page");
        assert_eq!(other.get(&next).answer().await.body(200)["users"][0]["id"], 3);
    }
}

//! Many clients that change the same user at once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, CLIENTS, Db, at_once, count, user};

const JOHN: &str = "/api/v2/users/1";

async fn with_john(db: Db) -> App {
    let app = App::start(db).await;
    app.create("0", "john@example.com").await;
    app
}

#[rstest]
#[tokio::test]
async fn one_of_many_gets_the_email(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for (round, path) in ["/api/v1/users", "/api/v2/users", "/api/v1/users", "/api/v2/users"].into_iter().enumerate() {
        let statuses = at_once(CLIENTS, async |client: usize| {
            let email = format!("John{round}@example.com");
            let email = if client.is_multiple_of(2) { email } else { email.to_uppercase() };
            app.post(path, &user(&client.to_string(), &email)).answer().await.status
        })
        .await;
        assert_eq!((count(&statuses, &201), count(&statuses, &409)), (1, CLIENTS - 1), "{statuses:?}");
        assert_eq!(app.everyone().await.len(), round + 1);
    }
}

/// Increments the number in the user's name, and retries until its own update succeeds.
async fn add_one(app: &App) -> i64 {
    loop {
        let read = app.get(JOHN).answer().await;
        let number: i64 = read.body(200)["name"].as_str().and_then(|name| name.parse().ok()).expect("a number");
        let next = app.patch(JOHN, &json!({ "name": (number + 1).to_string() }));
        let written = next.header(IF_MATCH, read.header("etag")).answer().await;
        match written.status {
            200 => return written.json()["version"].as_i64().expect("a version"),
            _ => drop(written.problem(412, "version_mismatch")),
        }
    }
}

#[rstest]
#[tokio::test]
async fn no_guarded_update_is_lost(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let mut versions = at_once(CLIENTS, async |_| add_one(&app).await).await;
    versions.sort_unstable();
    assert_eq!(versions, (2..=65).collect::<Vec<_>>(), "every success has its own version");
    let john = app.get(JOHN).answer().await.body(200);
    assert_eq!((&john["name"], &john["version"]), (&json!("64"), &json!(65)));
}

#[rstest]
#[tokio::test]
async fn one_of_many_guarded_updates_wins(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    for version in 1..=5 {
        let statuses = at_once(CLIENTS, async |client: usize| {
            let put = app.put(JOHN, &user(&client.to_string(), "john@example.com"));
            put.header(IF_MATCH, format!("\"{version}\"")).answer().await.status
        })
        .await;
        assert_eq!((count(&statuses, &200), count(&statuses, &412)), (1, CLIENTS - 1), "{statuses:?}");
        assert_eq!(app.get(JOHN).answer().await.body(200)["version"], version + 1);
    }
}

#[rstest]
#[tokio::test]
async fn updates_without_a_guard_each_count(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let changed: Vec<Value> = at_once(CLIENTS, async |client: usize| {
        let name = format!("client {client}");
        let changed = match client % 2 {
            0 => app.put(JOHN, &user(&name, "john@example.com")).answer().await.body(200),
            _ => app.patch(JOHN, &json!({ "name": name })).answer().await.body(200),
        };
        assert_eq!(changed["name"], name, "each answer holds the client's own change");
        changed
    })
    .await;
    let versions: HashSet<i64> = changed.iter().map(|john| john["version"].as_i64().expect("a version")).collect();
    assert_eq!(versions, (2..=65).collect::<HashSet<_>>());
    let last = changed.iter().find(|john| john["version"] == 65).expect("the last change");
    assert_eq!(*last, app.get(JOHN).answer().await.body(200));
}

#[rstest]
#[tokio::test]
async fn patches_of_two_fields_do_not_undo_each_other(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    for round in 0..20 {
        let (name, email) = (format!("name {round}"), format!("email{round}@example.com"));
        let patches = [json!({ "name": name }), json!({ "email": email })];
        at_once(2, async |half: usize| app.patch(JOHN, &patches[half]).answer().await.body(200)).await;
        let john = app.get(JOHN).answer().await.body(200);
        assert_eq!((&john["name"], &john["email"]), (&json!(name), &json!(email)));
    }
}

#[rstest]
#[tokio::test]
async fn one_of_many_deletes_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let statuses = at_once(CLIENTS, async |_| app.delete(JOHN).answer().await.status).await;
    assert_eq!((count(&statuses, &204), count(&statuses, &404)), (1, CLIENTS - 1), "{statuses:?}");
}

/// Whichever update comes first, the other user still holds the address.
#[rstest]
#[tokio::test]
async fn two_users_cannot_trade_emails(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let emails = ["a@example.com", "b@example.com"];
    for email in emails {
        app.create("John", email).await;
    }
    let before = app.everyone().await;
    let statuses = at_once(CLIENTS, async |client: usize| {
        let (id, wanted) = (client % 2 + 1, emails[1 - client % 2]);
        app.put(&format!("/api/v2/users/{id}"), &user("John", wanted)).answer().await.status
    })
    .await;
    assert_eq!(count(&statuses, &409), CLIENTS, "{statuses:?}");
    assert_eq!(app.everyone().await, before);
}

/// Whichever request comes first decides, and the answer agrees with the table.
#[rstest]
#[tokio::test]
async fn an_email_changes_hands_while_others_want_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for round in 0..20 {
        let (wanted, other) = (format!("wanted{round}@example.com"), format!("other{round}@example.com"));
        let holder = format!("/api/v2/users/{}", app.create("Holder", &wanted).await["id"]);
        let statuses = at_once(8, async |client: usize| match client {
            3 if round % 2 == 0 => app.delete(&holder).answer().await.status,
            3 => app.patch(&holder, &json!({ "email": other })).answer().await.status,
            _ => app.post("/api/v2/users", &user("Heir", &wanted)).answer().await.status,
        })
        .await;
        let heirs = count(&statuses, &201);
        assert!(statuses[3] < 300 && heirs <= 1 && heirs + count(&statuses, &409) == 7, "{statuses:?}");
        let found = app.get(&format!("/api/v2/users?email={wanted}")).answer().await.body(200);
        assert_eq!(found["users"].as_array().expect("users").len(), heirs, "{found}");
    }
}

#[rstest]
#[tokio::test]
async fn a_client_reads_its_own_writes(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    at_once(CLIENTS, async |client: usize| {
        for turn in 0..5 {
            let created = app.create("John", &format!("john{client}.{turn}@example.com")).await;
            let path = format!("/api/v2/users/{}", created["id"]);
            assert_eq!(app.get(&path).answer().await.body(200), created);
            let changed = app.patch(&path, &json!({ "name": "Johnny" })).answer().await.body(200);
            assert_eq!(app.get(&path).answer().await.body(200), changed);
            let found = app.get(&format!("/api/v2/users?email=john{client}.{turn}@example.com")).answer().await;
            assert_eq!(found.body(200)["users"], json!([changed]));
            app.delete(&path).answer().await.empty(204);
            app.get(&path).answer().await.problem(404, "user_not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn sqlite_is_never_locked_for_64_writers() {
    let app = App::start(Db::Sqlite).await;
    let end = Instant::now() + Duration::from_secs(10);
    let turns = at_once(CLIENTS, async |client: usize| {
        let mut turn = 0;
        while Instant::now() < end {
            let created = app.create("John", &format!("john{client}.{turn}@example.com")).await;
            let path = format!("/api/v2/users/{}", created["id"]);
            app.put(&path, &user("Johnny", &format!("johnny{client}.{turn}@example.com"))).answer().await.body(200);
            app.get(&path).answer().await.body(200);
            app.get("/api/v1/users?limit=5").answer().await.body(200);
            app.delete(&path).answer().await.empty(204);
            turn += 1;
        }
        turn
    })
    .await;
    assert!(turns.iter().all(|turn| *turn > 0), "every client made progress: {turns:?}");
    assert!(!app.log().contains("database is locked"), "{}", app.log());
    assert!(app.everyone().await.is_empty());
}

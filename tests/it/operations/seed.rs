//! `seed --count N`.

use std::collections::HashSet;

use rstest::rstest;
use serde_json::Value;

use crate::support::{App, Database, Db, Output};

fn seed(database: &Database, users: usize) -> Output {
    database.program().args(["seed", "--count", &users.to_string()]).run().succeeded()
}

fn text<'a>(user: &'a Value, member: &str) -> &'a str {
    user[member].as_str().expect("a text")
}

async fn seeded(db: Db, counts: &[usize]) -> App {
    let database = db.fresh();
    for users in counts {
        seed(&database, *users);
    }
    App::on(database, &[]).await
}

#[rstest]
#[tokio::test]
async fn fills_an_empty_database_with_users_1_to_n(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, &[1234]).await;
    let everyone = app.everyone().await;
    let ids: Vec<i64> = everyone.iter().map(|user| user["id"].as_i64().expect("an id")).collect();
    assert_eq!(ids, (1..=1234).collect::<Vec<_>>());
    let emails: HashSet<String> = everyone.iter().map(|user| text(user, "email").to_lowercase()).collect();
    assert_eq!(emails.len(), 1234);
    let names: HashSet<&str> = everyone.iter().map(|user| text(user, "name")).collect();
    assert!(names.len() > 100, "realistic names are not all alike: {names:?}");
    assert!(everyone.iter().all(|user| user["version"] == 1));
    assert_eq!(app.create("John", "a.new.one@example.com").await["id"], 1235);
}

#[tokio::test]
async fn the_users_are_the_same_everywhere() {
    let [sqlite, postgres] = [seeded(Db::Sqlite, &[300]).await, seeded(Db::Postgres, &[300]).await];
    let [mut sqlite, mut postgres] = [sqlite.everyone().await, postgres.everyone().await];
    for user in sqlite.iter_mut().chain(&mut postgres) {
        user["created_at"].take();
        user["updated_at"].take();
    }
    assert_eq!(sqlite, postgres);
}

#[rstest]
#[tokio::test]
async fn may_be_run_again(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, &[300, 300]).await;
    assert_eq!(app.everyone().await.len(), 300);
}

#[rstest]
#[tokio::test]
async fn goes_on_where_a_smaller_one_ended(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, &[100, 250]).await;
    assert_eq!(app.everyone().await, seeded_like(&app, db).await);
}

/// The same 250 users, seeded in one run, with the ids and times of the others.
async fn seeded_like(app: &App, db: Db) -> Vec<Value> {
    let others = app.everyone().await;
    let mut all = seeded(db, &[250]).await.everyone().await;
    for (user, other) in all.iter_mut().zip(&others) {
        user["id"] = other["id"].clone();
        user["created_at"] = other["created_at"].clone();
        user["updated_at"] = other["updated_at"].clone();
    }
    all
}

#[rstest]
#[tokio::test]
async fn leaves_other_users_alone(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let john = app.create("John", "john@example.com").await;
    seed(&app.database, 100);
    let everyone = app.everyone().await;
    assert_eq!((everyone.len(), &everyone[0]), (101, &john));
}

#[rstest]
fn writes_plain_lines_where_there_is_no_terminal(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    let output = seed(&database, 20_000);
    let told = format!("{}{}", output.stdout, output.stderr);
    assert!(told.contains("20000") || told.contains("20,000"), "{told}");
    assert!(!told.contains(['\u{1b}', '\r']), "{told:?}");
    let counted = database.connect().facts("SELECT CAST(count(*) AS TEXT) AS fact FROM users");
    assert_eq!(counted, ["20000"]);
}

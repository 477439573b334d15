//! Version 1: pages by number.

use rstest::rstest;
use serde_json::Value;

use crate::support::{Answered, App, Db};

async fn ids(app: &App, query: &str) -> Vec<i64> {
    let page = app.get(&format!("/api/v1/users{query}")).answer().await.body(200);
    page.as_array().expect("an array").iter().map(|user| user["id"].as_i64().expect("an id")).collect()
}

async fn seeded(db: Db, users: &str) -> App {
    let database = db.fresh();
    database.program().args(["seed", "--count", users]).run().succeeded();
    App::on(database, &[]).await
}

#[rstest]
#[tokio::test]
async fn pages_are_ordered_by_id(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "45").await;
    assert_eq!(ids(&app, "").await, (1..=20).collect::<Vec<_>>(), "page 1 of 20");
    assert_eq!(ids(&app, "?page=2").await, (21..=40).collect::<Vec<_>>());
    assert_eq!(ids(&app, "?page=3").await, (41..=45).collect::<Vec<_>>());
    assert_eq!(ids(&app, "?page=3&limit=7").await, (15..=21).collect::<Vec<_>>());
    assert_eq!(ids(&app, "?limit=3").await, [1, 2, 3]);
}

#[rstest]
#[tokio::test]
async fn an_entry_is_what_a_look_up_answers(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "3").await;
    let page = app.get("/api/v1/users").answer().await.body(200);
    for (id, entry) in (1..).zip(page.as_array().expect("an array")) {
        assert_eq!(*entry, app.get(&format!("/api/v1/users/{id}")).answer().await.body(200));
    }
}

#[rstest]
#[tokio::test]
async fn the_limit_is_capped_at_100(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "150").await;
    for query in ["?limit=100", "?limit=101", "?limit=1000", "?limit=4294967296"] {
        assert_eq!(ids(&app, query).await, (1..=100).collect::<Vec<_>>(), "{query}");
    }
    // The cap decides where the second page begins.
    assert_eq!(ids(&app, "?page=2&limit=1000").await, (101..=150).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn a_page_beyond_the_end_is_empty(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "20").await;
    for query in [
        "?page=2",
        "?page=1000000",
        "?page=4294967295&limit=100",
        "?page=9223372036854775807&limit=100",
        "?page=99999999999999999999999999",
    ] {
        assert!(ids(&app, query).await.is_empty(), "{query}");
    }
}

#[rstest]
#[tokio::test]
async fn a_bad_query_is_400(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for query in [
        "page=0",
        "page=-1",
        "page=abc",
        "page=",
        "page=1.5",
        "limit=0",
        "limit=-1",
        "limit=abc",
        "limit=",
        "size=10",
        "page=1&unknown=1",
        "page_size=10",
    ] {
        let answer = app.get(&format!("/api/v1/users?{query}")).answer().await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        answer.error(400);
    }
}

#[rstest]
#[tokio::test]
async fn an_empty_list_is_an_empty_array(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    assert_eq!(app.get("/api/v1/users").answer().await.body(200), Value::Array(Vec::new()));
}

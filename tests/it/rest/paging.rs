//! Version 2: pages by token.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db};

async fn seeded(db: Db, users: &str) -> App {
    let database = db.fresh();
    database.program().args(["seed", "--count", users]).run().succeeded();
    App::on(database, &[]).await
}

async fn page(app: &App, path: &str) -> Value {
    app.get(path).answer().await.body(200)
}

fn ids(page: &Value) -> Vec<i64> {
    page["users"].as_array().expect("users").iter().map(|user| user["id"].as_i64().expect("an id")).collect()
}

fn range(from: i64, to: i64) -> Vec<i64> {
    (from..=to).collect()
}

#[rstest]
#[tokio::test]
async fn a_walk_by_token_meets_everyone_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "25").await;
    let first = page(&app, "/api/v2/users?page_size=10").await;
    assert_eq!(ids(&first), range(1, 10));
    let token = first["next_page_token"].as_str().expect("a token");
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "URL-safe: {token}");
    let second = page(&app, &format!("/api/v2/users?page_size=10&page_token={token}")).await;
    assert_eq!(ids(&second), range(11, 20));
    let token = second["next_page_token"].as_str().expect("a token");
    let third = page(&app, &format!("/api/v2/users?page_token={token}&page_size=10")).await;
    assert_eq!(ids(&third), range(21, 25));
    assert!(third.get("next_page_token").is_none(), "{third}");
}

#[rstest]
#[tokio::test]
async fn a_walk_by_link_meets_everyone_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "25").await;
    let mut sizes = Vec::new();
    let mut next = Some("/api/v2/users?page_size=10".to_owned());
    while let Some(path) = next {
        let answer = app.get(&path).answer().await;
        let body = answer.body(200);
        sizes.push(ids(&body).len());
        next = answer.next_link();
        assert_eq!(
            next.is_some(),
            body.get("next_page_token").is_some(),
            "a page has both a link and a token, or neither"
        );
        assert!(next.as_ref().is_none_or(|path| path.starts_with("/api/v2/users?")), "{next:?}");
    }
    assert_eq!(sizes, [10, 10, 5], "the link keeps the size");
}

#[rstest]
#[tokio::test]
async fn a_last_page_that_is_full_is_the_last(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "20").await;
    let whole = app.get("/api/v2/users?page_size=20").answer().await;
    assert_eq!(ids(&whole.body(200)), range(1, 20));
    assert!(whole.json().get("next_page_token").is_none());
    let half = app.get("/api/v2/users?page_size=10").answer().await.next_link().expect("a second page");
    let other_half = app.get(&half).answer().await;
    assert_eq!(ids(&other_half.body(200)), range(11, 20));
    assert!(other_half.next_link().is_none());
}

#[rstest]
#[tokio::test]
async fn a_page_is_20_and_at_most_100(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "150").await;
    assert_eq!(ids(&page(&app, "/api/v2/users").await), range(1, 20));
    for size in ["100", "101", "1000", "4294967296", "99999999999999999999999999"] {
        let answer = app.get(&format!("/api/v2/users?page_size={size}")).answer().await;
        assert_eq!(ids(&answer.body(200)), range(1, 100), "{size}");
        assert_eq!(ids(&page(&app, &answer.next_link().expect("a second page")).await), range(101, 150), "{size}");
    }
}

#[rstest]
#[tokio::test]
async fn the_size_may_change_on_the_way(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "30").await;
    let first = page(&app, "/api/v2/users?page_size=3").await;
    let token = first["next_page_token"].as_str().expect("a token");
    assert_eq!(ids(&page(&app, &format!("/api/v2/users?page_size=7&page_token={token}")).await), range(4, 10));
    assert_eq!(ids(&page(&app, &format!("/api/v2/users?page_token={token}")).await), range(4, 23));
}

#[rstest]
#[tokio::test]
async fn changes_on_the_way_neither_repeat_nor_hide_anyone(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "20").await;
    let first = app.get("/api/v2/users?page_size=10").answer().await;
    // A user before the token's place, the user at that place and one after it are deleted, and a user is added at the
    // end.
    for id in [3, 10, 15] {
        app.delete(&format!("/api/v2/users/{id}")).answer().await.empty(204);
    }
    let added = app.create("Late", "late@example.com").await["id"].as_i64().expect("an id");
    let second = page(&app, &first.next_link().expect("a second page")).await;
    assert_eq!(ids(&second), [11, 12, 13, 14, 16, 17, 18, 19, 20, added]);
}

#[rstest]
#[tokio::test]
async fn an_entry_is_what_a_look_up_answers(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "3").await;
    app.patch("/api/v2/users/2", &json!({ "name": "Changed" })).answer().await.body(200);
    let page = page(&app, "/api/v2/users").await;
    for (id, entry) in (1..).zip(page["users"].as_array().expect("users")) {
        assert_eq!(*entry, app.get(&format!("/api/v2/users/{id}")).answer().await.body(200));
    }
}

#[rstest]
#[tokio::test]
async fn the_total_is_counted_when_asked_for(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, "25").await;
    let first = app.get("/api/v2/users?page_size=10&include_total=true").answer().await;
    assert_eq!(first.body(200)["total"], 25);
    let second = page(&app, &first.next_link().expect("a second page")).await;
    assert_eq!(second["total"], 25, "the link keeps include_total");
    for path in ["/api/v2/users", "/api/v2/users?include_total=false"] {
        assert!(page(&app, path).await.get("total").is_none(), "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn nobody_is_an_empty_page(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    assert_eq!(page(&app, "/api/v2/users").await, json!({ "users": [] }));
    assert_eq!(page(&app, "/api/v2/users?include_total=true").await, json!({ "users": [], "total": 0 }));
}

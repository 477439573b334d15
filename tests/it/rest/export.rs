//! The export: whom it holds, in which order, and where the live stream goes on.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, Db, EXPORT, Export, LiveStream, claims, query_string, seeded, token, until};

/// More than two pages, of which the last is not full.
const MANY: u32 = 2345;

#[rstest]
#[tokio::test]
async fn everybody_is_in_it_by_id(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, MANY, &[]).await;
    app.create("Zoë \"Z\" \\", "zoe@example.com").await;
    app.delete("/api/v2/users/7").answer().await.expect(204);
    app.patch("/api/v2/users/1001", &json!({ "name": "Ada" })).answer().await.expect(200);
    let export = Export::of(&app).await;
    assert_eq!(export.users.len(), MANY as usize);
    assert_eq!(export.users, app.everyone().await, "as lists show them, and in their order");
    let metrics = app.metrics().await;
    assert_eq!(metrics.value("users_exported_total"), f64::from(MANY));
    assert_eq!((metrics.value("exports_running"), metrics.value("exports_failed_total")), (0.0, 0.0));
}

/// Pages end exactly with the users.
#[rstest]
#[case(1000)]
#[case(2000)]
#[tokio::test]
async fn the_last_page_may_be_full(#[case] users: u32) {
    let app = seeded(Db::Sqlite, users, &[]).await;
    assert_eq!(Export::of(&app).await.users.len(), users as usize);
}

#[rstest]
#[tokio::test]
async fn an_empty_database_has_an_export(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    assert_eq!(Export::of(&app).await, Export { users: vec![], resume_after: 0 });
}

#[rstest]
#[tokio::test]
async fn filters_are_those_of_lists(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, MANY, &[]).await;
    app.create("ada Zuse", "Ada@Example.com").await;
    let by_name = |prefix: &str| format!("?{}", query_string(&[("name_prefix", prefix)]));
    for prefix in ["ÉLODIE", "ada", "Ada Zuse", "nobody", ""] {
        let export = Export::at(&app, &format!("{EXPORT}{}", by_name(prefix))).await.users;
        let (mut listed, mut next) = (Vec::new(), Some(format!("/api/v2/users{}&page_size=100", by_name(prefix))));
        while let Some(path) = next {
            let page = app.get(&path).answer().await;
            listed.extend(page.body(200)["users"].as_array().unwrap().iter().cloned());
            next = page.next_link();
        }
        assert_eq!(export, listed, "{prefix:?}");
    }
    let found = |query: &'static str| {
        let app = &app;
        async move { Export::at(app, &format!("{EXPORT}?{query}")).await.users.len() }
    };
    assert_eq!(found("email=ada@EXAMPLE.com").await, 1);
    assert_eq!(found("email=ada@EXAMPLE.com&name_prefix=ada").await, 1);
    assert_eq!(found("email=ada@EXAMPLE.com&name_prefix=b").await, 0);
    assert_eq!(found("email=nobody@example.com").await, 0);
    for query in ["name=Ada", "page_size=10", "email=ada", "email=a@b.co&email=a@b.co", "name_prefix=%00"] {
        app.get(&format!("{EXPORT}?{query}")).answer().await.problem(400, "invalid_query");
    }
}

#[rstest]
#[tokio::test]
async fn reading_suffices(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let get = |token: String| app.anonymous(Method::GET, EXPORT).bearer_auth(token).answer();
    get(token(&claims("users:read"))).await.expect(200);
    get(token(&claims("users:write"))).await.problem(403, "insufficient_scope");
    app.anonymous(Method::GET, EXPORT).answer().await.problem(401, "unauthorized");
    app.post(EXPORT, &json!({})).answer().await.problem(405, "method_not_allowed");
}

/// Also while the log is empty, and after all of it was pruned.
#[rstest]
#[tokio::test]
async fn the_stream_accepts_where_it_is_to_go_on(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    for events in [0, 1, 5] {
        for number in 0..events {
            app.create("John", &format!("john{events}.{number}@example.com")).await;
        }
        let export = Export::of(&app).await;
        let stream = LiveStream::resume(&app, export.resume_after).await;
        assert_eq!(
            (export.resume_after, stream.last_id),
            (i64::try_from(export.users.len()).unwrap(), export.resume_after)
        );
    }
    app.database.connect().run("UPDATE event_log SET pruned_to = 6; DELETE FROM events");
    app.restart().await;
    let export = Export::of(&app).await;
    assert_eq!((export.resume_after, export.users.len()), (6, 6));
    let mut stream = LiveStream::resume(&app, 6).await;
    app.create("Jane", "jane@example.com").await;
    assert_eq!(stream.next().await.unwrap().data["data"]["name"], "Jane");
}

/// A transaction that has its offset, and has not ended, is behind `Resume-After`: the stream will tell of it.
#[tokio::test]
async fn what_may_still_be_committed_is_left_to_the_stream() {
    let app = App::start(Db::Postgres).await;
    app.create("John", "john@example.com").await;
    let mut open = app.database.connect();
    let insert = "INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt)
        VALUES (2, 1000, 2, 'x', 'x@example.com', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 1)";
    open.run(&format!("BEGIN; {insert}"));
    app.create("Jane", "jane@example.com").await;
    let export = Export::of(&app).await;
    assert_eq!((export.users.len(), export.resume_after), (2, 1));
    open.run("COMMIT");
    let mut stream = LiveStream::resume(&app, export.resume_after).await;
    let told = stream.take(2).await;
    assert_eq!((told[0].user_id(), told[1].user_id()), (1000, 2));
    until("both are final", std::time::Duration::from_secs(10), async || Export::of(&app).await.resume_after == 3)
        .await;
}

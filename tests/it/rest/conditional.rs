//! ETag, If-None-Match and If-Match.

use reqwest::RequestBuilder;
use reqwest::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use rstest::rstest;
use serde_json::json;

use crate::support::{Answer, Answered, App, Db, user};

const JOHN: &str = "/api/v2/users/1";
const NOBODY: &str = "/api/v2/users/2";

const MALFORMED: [&str; 7] = ["1", "\"1", "1\"", "W/1", "w/\"1\"", "\"1\" \"2\"", "\"1\", 2"];

async fn with_john(db: Db) -> App {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app
}

fn put(app: &App, path: &str) -> RequestBuilder {
    app.put(path, &user("Johnny", "john@example.com"))
}

fn patch(app: &App, path: &str) -> RequestBuilder {
    app.patch(path, &json!({ "name": "Johnny" }))
}

/// The three requests that `If-Match` can guard.
fn changes(app: &App, path: &str) -> [RequestBuilder; 3] {
    [put(app, path), patch(app, path), app.delete(path)]
}

async fn get_unless(app: &App, path: &str, tags: &str) -> Answer {
    app.get(path).header(IF_NONE_MATCH, tags).answer().await
}

#[rstest]
#[tokio::test]
async fn a_known_version_is_not_sent_again(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    for tags in [r#""1""#, r#"W/"1""#, r#""0", "1""#, r#""7" , W/"1""#, r#""a,b","1""#, "*"] {
        let unchanged = get_unless(&app, JOHN, tags).await;
        unchanged.empty(304);
        assert_eq!(unchanged.header("etag"), r#""1""#, "{tags}");
        app.head(JOHN).header(IF_NONE_MATCH, tags).answer().await.empty(304);
    }
}

#[rstest]
#[tokio::test]
async fn an_unknown_version_is_sent(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    for tags in [r#""2""#, r#"W/"2""#, r#""01""#, r#""+1""#, r#""""#, r#""1,""#, r#""abc", "0""#] {
        let sent = get_unless(&app, JOHN, tags).await;
        assert_eq!(sent.body(200)["name"], "John", "{tags}");
    }
    put(&app, JOHN).answer().await.body(200);
    assert_eq!(get_unless(&app, JOHN, r#""1""#).await.body(200)["name"], "Johnny");
}

#[rstest]
#[tokio::test]
async fn a_missing_user_is_404_whatever_is_known_of_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    for tags in ["*", r#""1""#, r#"W/"1""#] {
        get_unless(&app, NOBODY, tags).await.problem(404, "user_not_found");
        for change in changes(&app, NOBODY) {
            change.header(IF_MATCH, tags).answer().await.problem(404, "user_not_found");
        }
    }
}

#[rstest]
#[case::current(r#""1""#)]
#[case::any("*")]
#[case::one_of_a_list(r#""9", "1""#)]
#[case::without_spaces(r#""9","1","10""#)]
#[case::after_a_comma_in_a_tag(r#""a,b", "1""#)]
#[case::among_weak_ones(r#"W/"1", "1""#)]
#[tokio::test]
async fn a_match_lets_the_change_through(#[case] tags: &str, #[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let changed = put(&app, JOHN).header(IF_MATCH, tags).answer().await;
    assert_eq!((changed.body(200)["version"].as_i64(), changed.header("etag")), (Some(2), r#""2""#));
    let again = tags.replace(r#""1""#, r#""2""#);
    let changed = patch(&app, JOHN).header(IF_MATCH, again).answer().await;
    assert_eq!((changed.body(200)["version"].as_i64(), changed.header("etag")), (Some(3), r#""3""#));
    let again = tags.replace(r#""1""#, r#""3""#);
    app.delete(JOHN).header(IF_MATCH, again).answer().await.empty(204);
    assert!(app.everyone().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_stale_or_unknown_version_is_412(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    put(&app, JOHN).answer().await.body(200);
    let before = app.everyone().await;
    let unmatched = [
        r#""1""#,
        r#""3""#,
        r#""0""#,
        r#""-2""#,
        r#"W/"2""#,
        r#""02""#,
        r#""+2""#,
        r#"" 2""#,
        r#""abc""#,
        r#""""#,
        r#""1", "3""#,
        r#""2,""#,
        r#""*""#,
        r#""9223372036854775808""#,
        r#""99999999999999999999999""#,
    ];
    for tags in unmatched {
        for change in changes(&app, JOHN) {
            let refused = change.header(IF_MATCH, tags).answer().await;
            assert_eq!(refused.status, 412, "{tags}: {refused:?}");
            refused.problem(412, "version_mismatch");
        }
    }
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn a_malformed_header_is_400(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let before = app.everyone().await;
    for tags in MALFORMED {
        for change in changes(&app, JOHN) {
            let refused = change.header(IF_MATCH, tags).answer().await;
            assert_eq!(refused.status, 400, "{tags}: {refused:?}");
            refused.problem(400, "invalid_header");
        }
        let refused = get_unless(&app, JOHN, tags).await;
        assert_eq!(refused.status, 400, "{tags}: {refused:?}");
        refused.problem(400, "invalid_header");
    }
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn two_headers_are_one_list(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let known = app.get(JOHN).header(IF_NONE_MATCH, r#""9""#).header(IF_NONE_MATCH, r#""1""#);
    known.answer().await.empty(304);
    put(&app, JOHN).header(IF_MATCH, r#""9""#).header(IF_MATCH, r#""1""#).answer().await.body(200);
    put(&app, JOHN)
        .header(IF_MATCH, r#""9""#)
        .header(IF_MATCH, r#""1""#)
        .answer()
        .await
        .problem(412, "version_mismatch");
}

#[rstest]
#[tokio::test]
async fn a_stale_version_is_found_before_a_taken_email(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    app.create("Jane", "jane@example.com").await;
    let before = app.everyone().await;
    let taken = user("John", "jane@example.com");
    app.put(JOHN, &taken).header(IF_MATCH, r#""9""#).answer().await.problem(412, "version_mismatch");
    app.put(JOHN, &taken).header(IF_MATCH, r#""1""#).answer().await.problem(409, "email_taken");
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn every_single_user_answer_has_an_etag(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let created = app.post("/api/v2/users", &user("John", "john@example.com")).answer().await;
    let read = app.get(JOHN).answer().await;
    let (put, patched) = (put(&app, JOHN).answer().await, patch(&app, JOHN).answer().await);
    for (version, answer) in [(1, created), (1, read), (2, put), (3, patched)] {
        assert_eq!(answer.json()["version"], version);
        assert_eq!(answer.header(ETAG.as_str()), format!("\"{version}\""));
    }
}

/// A PUT never creates, so a change on condition that no such user exists never changes anything (RFC 9110, 13.1.2).
#[rstest]
#[tokio::test]
async fn nothing_changes_a_user_that_must_not_exist(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let before = app.everyone().await;
    for change in changes(&app, JOHN) {
        change.header(IF_NONE_MATCH, "*").answer().await.problem(412, "version_mismatch");
    }
    for change in changes(&app, JOHN) {
        change.header(IF_NONE_MATCH, r#""1""#).answer().await.problem(400, "invalid_header");
    }
    for change in changes(&app, NOBODY) {
        change.header(IF_NONE_MATCH, "*").answer().await.problem(404, "user_not_found");
    }
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn a_read_may_ask_for_a_version(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    for tags in [r#""1""#, r#""9", "1""#, "*"] {
        assert_eq!(app.get(JOHN).header(IF_MATCH, tags).answer().await.body(200)["name"], "John", "{tags}");
    }
    for tags in [r#""2""#, r#"W/"1""#] {
        app.get(JOHN).header(IF_MATCH, tags).answer().await.problem(412, "version_mismatch");
    }
    app.get(NOBODY).header(IF_MATCH, r#""1""#).answer().await.problem(404, "user_not_found");
}

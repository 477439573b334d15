//! Fields that are missing, unknown, of the wrong type, or invalid.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db, user};

const GOOD_NAME: &str = "Jane";
const GOOD_EMAIL: &str = "jane@example.com";

fn bad_names() -> Vec<String> {
    let mut names: Vec<String> =
        ["", " ", " \t\n ", "\u{3000}", "a\0b", "\0", "a\nb", "a\tb", "\u{7f}", "a\u{85}b", "a\u{9f}"]
            .map(str::to_owned)
            .to_vec();
    names.extend(["a".repeat(101), "é".repeat(101), "😀".repeat(101), format!("{}\u{1b}[31m", "a".repeat(20))]);
    names
}

fn bad_emails() -> Vec<String> {
    let texts = [
        "",
        " ",
        "john",
        "john@",
        "@example.com",
        "john@@example.com",
        "john@exam@ple.com",
        "john doe@example.com",
        "john@example .com",
        " john@example.com",
        "john@example.com ",
        "john@example.com\n",
        "john\0@example.com",
        "john@example.com\0",
        "john@.example.com",
        "john@example..com",
        "john..doe@example.com",
        ".john@example.com",
        "john@-example.com",
        "john@example.com,jane@example.com",
        "John <john@example.com>",
        "<john@example.com>",
        "mailto:john@example.com",
        "john@example.com\r\nBcc: all@example.com",
        "john@exa_mple.com\u{7}",
    ];
    let mut emails = texts.map(str::to_owned).to_vec();
    emails.push(email_of(255));
    emails.push(format!("{}@example.com", "a".repeat(65)));
    emails.push(format!("a@{}.com", "b".repeat(64)));
    emails
}

/// An address of this many bytes, valid up to 254.
fn email_of(length: usize) -> String {
    let (local, label) = ("a".repeat(64), "b".repeat(61));
    let last = "c".repeat(length - local.len() - 1 - 3 * (label.len() + 1));
    format!("{local}@{label}.{label}.{label}.{last}")
}

/// Bodies with the fields that are invalid in them.
fn bad_users() -> Vec<(Value, Vec<&'static str>)> {
    let mut bad = vec![
        (json!({}), vec!["/email", "/name"]),
        (json!({ "name": GOOD_NAME }), vec!["/email"]),
        (json!({ "email": GOOD_EMAIL }), vec!["/name"]),
        (json!({ "Name": GOOD_NAME, "email": GOOD_EMAIL }), vec!["/Name", "/name"]),
        (json!({ "name": "", "email": "x", "age": 7 }), vec!["/age", "/email", "/name"]),
        (json!({ "id": 7, "name": GOOD_NAME, "email": GOOD_EMAIL }), vec!["/id"]),
        (json!({ "name": GOOD_NAME, "email": GOOD_EMAIL, "version": 1 }), vec!["/version"]),
        (json!({ "name": GOOD_NAME, "email": GOOD_EMAIL, "a/b~c": 1 }), vec!["/a~1b~0c"]),
        (json!({ "name": GOOD_NAME, "email": GOOD_EMAIL, "": 1 }), vec!["/"]),
        (json!({ "name": 7, "email": [] }), vec!["/email", "/name"]),
    ];
    for value in [Value::Null, json!(true), json!(7), json!(1.5), json!([]), json!({}), json!([GOOD_NAME])] {
        bad.push((json!({ "name": value, "email": GOOD_EMAIL }), vec!["/name"]));
        bad.push((json!({ "name": GOOD_NAME, "email": value }), vec!["/email"]));
    }
    bad.extend(bad_names().iter().map(|name| (user(name, GOOD_EMAIL), vec!["/name"])));
    bad.extend(bad_emails().iter().map(|email| (user(GOOD_NAME, email), vec!["/email"])));
    bad
}

#[tokio::test]
async fn version_1_says_400() {
    let app = App::start(Db::Sqlite).await;
    app.create("John", "john@example.com").await;
    let before = app.everyone().await;
    for (body, _) in bad_users() {
        for request in [app.post("/api/v1/users", &body), app.put("/api/v1/users/1", &body)] {
            let answer = request.answer().await;
            assert_eq!(answer.status, 400, "{body}: {answer:?}");
            answer.error(400);
        }
    }
    assert_eq!(app.everyone().await, before);
}

#[tokio::test]
async fn version_2_names_every_field_at_fault() {
    let app = App::start(Db::Sqlite).await;
    app.create("John", "john@example.com").await;
    let before = app.everyone().await;
    for (body, fields) in bad_users() {
        for request in [app.post("/api/v2/users", &body), app.put("/api/v2/users/1", &body)] {
            let answer = request.answer().await;
            assert_eq!(answer.status, 422, "{body}: {answer:?}");
            assert_eq!(answer.invalid_fields(), fields, "{body}");
        }
    }
    assert_eq!(app.everyone().await, before);
}

#[tokio::test]
async fn a_merge_patch_keeps_the_same_rules() {
    let app = App::start(Db::Sqlite).await;
    app.create("John", "john@example.com").await;
    let before = app.everyone().await;
    let names = bad_names().into_iter().map(|name| (json!({ "name": name }), "/name"));
    let emails = bad_emails().into_iter().map(|email| (json!({ "email": email }), "/email"));
    for (patch, field) in names.chain(emails) {
        let answer = app.patch("/api/v2/users/1", &patch).answer().await;
        assert_eq!(answer.status, 422, "{patch}: {answer:?}");
        assert_eq!(answer.invalid_fields(), [field], "{patch}");
    }
    assert_eq!(app.everyone().await, before);
}

#[rstest]
#[tokio::test]
async fn what_is_just_inside_the_rules_is_kept_exactly(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let names = [
        "a".into(),
        "é".repeat(100),
        "😀".repeat(100),
        "O'Neil \"x\" <b>\\ %_*".into(),
        "محمد".into(),
        "e\u{301}".into(),
    ];
    let emails = [
        "a@b.co".into(),
        email_of(254),
        "John.O'Neil+tag@Sub.Example.COM".into(),
        "élise@exämple.com".into(),
        "x_y-z%a@example.org".into(),
        "1@2.co".into(),
    ];
    for (name, email) in names.iter().zip(&emails) {
        let answer = app.post("/api/v2/users", &user(name, email)).answer().await;
        assert_eq!(answer.status, 201, "{name} {email}: {answer:?}");
        let created = answer.body(201);
        assert_eq!((created["name"].as_str(), created["email"].as_str()), (Some(name.as_str()), Some(email.as_str())));
        let read = app.get(answer.header("location")).answer().await.body(200);
        assert_eq!(read, created);
    }
    let trimmed = app.create(&format!("  {}\n", "b".repeat(100)), "trimmed@example.com").await;
    assert_eq!(trimmed["name"], "b".repeat(100), "the limit applies after trimming");
}

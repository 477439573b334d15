//! How an import is sent, and what is known when its answer is lost.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]
#![allow(unreachable_pub, reason = "a test crate has no users")]

mod fake;

use std::convert::Infallible;

use fake::{Fake, answer};
use futures_util::stream::{self, Stream};
use user_service_client::{Client, Code, Error, OnConflict, UserFields};

fn johns() -> impl Stream<Item = Result<UserFields, Infallible>> + Send + 'static {
    stream::iter((1..=2).map(|n| Ok(UserFields::new("John", format!("john{n}@example.com")))))
}

fn problem(status: u16, code: &str) -> String {
    let body = format!(r#"{{"type":"urn:user-service:problem:{code}","code":"{code}","detail":"no"}}"#);
    answer(status, [("content-type", "application/problem+json"), ("x-request-id", "1"), ("retry-after", "0")], &body)
}

fn completed() -> String {
    let body = r#"{"id":"monday","state":"completed","on_conflict":"update","next_line":3,"records":2,"created":2,
        "updated":0,"skipped":0,"failed":0,"failures":[]}"#;
    answer(200, [("content-type", "application/json")], body)
}

#[tokio::test]
async fn users_are_sent_as_lines() {
    let fake = Fake::start(|_, _| completed()).await;
    let import = fake.client().import_users("monday", johns(), OnConflict::Update).await.unwrap();
    assert_eq!((import.id.as_str(), import.created), ("monday", 2));
    fake.client().resume_import("monday", 3, johns(), OnConflict::Fail).await.unwrap();
    let seen = fake.seen();
    let paths = Vec::from_iter(seen.iter().map(|seen| seen.path.as_str()));
    let resumed = "/api/v2/imports/monday?on_conflict=fail&from_line=3";
    assert_eq!(paths, ["/api/v2/imports/monday?on_conflict=update", resumed]);
    assert_eq!((seen[0].method.as_str(), seen[0].headers["content-type"].as_str()), ("PUT", "application/x-ndjson"));
    assert_eq!(seen[0].body.matches("{\"name\":\"John\",\"email\":").count(), 2, "{}", seen[0].body);
}

#[tokio::test]
async fn an_import_is_sent_once() {
    for (text, is_unknown) in [(String::new(), true), (problem(503, "overloaded"), false)] {
        let fake = Fake::start(move |_, _| text.clone()).await;
        let error = fake.client().import_users("monday", johns(), OnConflict::Fail).await.unwrap_err();
        assert_eq!(matches!(error, Error::OutcomeUnknown { .. }), is_unknown, "{error:?}");
        assert_eq!(fake.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_fails_completes_no_import() {
    let fake = Fake::start(|_, _| completed()).await;
    let users = stream::iter([Ok(UserFields::new("John", "john@example.com")), Err("lost")]);
    let error = fake.client().import_users("monday", users, OnConflict::Fail).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn an_import_that_was_forgotten_without_an_answer_is_forgotten() {
    let fake =
        Fake::start(|number, _| if number == 0 { String::new() } else { problem(404, "import_not_found") }).await;
    fake.client().forget_import("monday").await.unwrap();
    let error = fake.client().forget_import("monday").await.unwrap_err();
    assert_eq!(error.code(), Some(&Code::ImportNotFound));
}

#[tokio::test]
async fn what_cannot_be_imported_is_not_sent() {
    let fake = Fake::start(|_, _| completed()).await;
    for (client, id) in [(fake.client(), ".."), (Client::grpc(fake.url()).build().unwrap(), "monday")] {
        let sent = client.import_users(id, johns(), OnConflict::Fail).await;
        assert!(matches!(sent, Err(Error::InvalidCall(_))), "{sent:?}");
        assert!(matches!(client.import(id).await, Err(Error::InvalidCall(_))));
        assert!(matches!(client.forget_import(id).await, Err(Error::InvalidCall(_))));
    }
    assert!(fake.seen().is_empty());
}

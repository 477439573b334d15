//! When a batch is sent again, and what is known afterwards.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]
#![allow(unreachable_pub, reason = "a test crate has no users")]

mod fake;

use std::time::Duration;

use fake::{Fake, answer};
use user_service_client::{Code, Error, Operation, UserFields};

const LEE: &str = r#"{"status":201,"user":{"id":7,"name":"Lee","email":"lee@example.com","version":1,
    "created_at":"2026-01-31T12:00:00Z","updated_at":"2026-01-31T12:00:00Z"}}"#;

fn refused(status: u16, code: &str, pointer: &str) -> String {
    format!(
        r#"{{"status":{status},"problem":{{"type":"urn:user-service:problem:{code}","code":"{code}","detail":"no",
        "errors":[{{"pointer":"{pointer}","detail":"no"}}]}}}}"#
    )
}

fn results(results: &[String]) -> String {
    let body = format!("{{\"results\":[{}]}}", results.join(","));
    answer(200, [("content-type", "application/json"), ("x-request-id", "1")], &body)
}

fn operations() -> [Operation; 3] {
    [
        Operation::create(UserFields::new("Lee", "lee@example.com")),
        Operation::delete(4, None),
        Operation::delete(99, None),
    ]
}

/// What the service answers when it has refused the second operation for now.
fn overloaded() -> String {
    let missing = refused(404, "user_not_found", "/operations/2/delete/id");
    results(&[LEE.to_owned(), refused(503, "overloaded", "/operations/1"), missing])
}

#[tokio::test]
async fn a_batch_is_sent_again_until_all_of_it_is_decided() {
    let fake = Fake::start(|number, _| match number {
        0 => overloaded(),
        1 => String::new(),
        _ => results(&[
            LEE.replace("201", "201,\"replayed\":true"),
            r#"{"status":204}"#.to_owned(),
            refused(404, "user_not_found", "/operations/2/delete/id"),
        ]),
    })
    .await;
    let outcomes = fake.client().write_users(&operations()).await.unwrap();
    let created = outcomes[0].as_ref().unwrap();
    assert!(created.is_replay && created.user.as_ref().unwrap().id == 7);
    let deleted = outcomes[1].as_ref().unwrap();
    assert!(!deleted.is_replay && deleted.user.is_none());
    let problem = outcomes[2].as_ref().unwrap_err().problem().unwrap();
    assert_eq!((&problem.code, problem.operation), (&Code::UserNotFound, Some(2)));
    assert_eq!((problem.fields[0].field.as_str(), problem.fields[0].pointer.as_str()), ("id", "/id"));
    let seen = fake.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/api/v2/users:batchWrite"));
    let of = |at: usize| (&seen[at].body, &seen[at].headers["idempotency-key"]);
    assert!(seen.len() == 3 && of(0) == of(1) && of(0) == of(2), "{seen:#?}");
}

#[tokio::test]
async fn what_stays_refused_was_not_executed() {
    let fake = Fake::start(|_, _| overloaded()).await;
    let client = fake.client().with_timeout(Duration::from_millis(2500));
    let outcomes = client.write_users(&operations()).await.unwrap();
    assert!(outcomes[0].is_ok());
    let error = outcomes[1].as_ref().unwrap_err();
    assert!(error.code() == Some(&Code::Overloaded) && error.is_transient(), "{error:?}");
    assert!(fake.seen().len() > 1);
}

#[tokio::test]
async fn a_repetition_without_an_answer_leaves_its_outcome_unknown() {
    let fake = Fake::start(|number, _| if number == 0 { overloaded() } else { String::new() }).await;
    let client = fake.client().with_timeout(Duration::from_millis(2500));
    let outcomes = client.write_users(&operations()).await.unwrap();
    assert!(outcomes[0].is_ok());
    assert!(matches!(outcomes[1], Err(Error::OutcomeUnknown { .. })), "{outcomes:?}");
    assert_eq!(outcomes[2].as_ref().unwrap_err().code(), Some(&Code::UserNotFound));
}

#[tokio::test]
async fn an_answer_with_other_results_is_none() {
    for text in [results(&[LEE.to_owned()]), results(&[LEE.to_owned(), LEE.to_owned(), LEE.to_owned()])] {
        let fake = Fake::start(move |_, _| text.clone()).await;
        let client = fake.client().with_timeout(Duration::from_millis(300));
        let error = client.write_users(&operations()).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn too_many_operations_are_not_sent() {
    let fake = Fake::start(|_, _| results(&[])).await;
    let many = vec![Operation::delete(1, None); 1001];
    assert!(matches!(fake.client().write_users(&many).await, Err(Error::InvalidCall(_))));
    assert!(matches!(fake.client().write_users_atomically(&many).await, Err(Error::InvalidCall(_))));
    assert!(fake.client().write_users(&[]).await.unwrap().is_empty());
    assert!(fake.seen().is_empty());
}

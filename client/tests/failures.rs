//! What the client retries after failures on the way, and what it does not.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]
#![allow(unreachable_pub, reason = "a test crate has no users")]

mod fake;

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use fake::{Fake, Seen, answer};
use futures_util::{StreamExt as _, TryStreamExt as _};
use user_service_client::{Ask, Client, Code, Error, EventType, Token, UserFields, UserPatch, WatchUsers};

const JOHN: &str = r#"{"id":1,"name":"John","email":"john@example.com","version":1,
    "created_at":"2026-01-31T12:00:00.000001Z","updated_at":"2026-01-31T12:00:00.000001Z"}"#;

fn john() -> UserFields {
    UserFields::new("John", "john@example.com")
}

fn ok(body: &str) -> String {
    answer(200, [("content-type", "application/json")], body)
}

fn created() -> String {
    answer(201, [("content-type", "application/json")], JOHN)
}

fn problem(status: u16, code: &str) -> String {
    let body = format!(r#"{{"type":"urn:user-service:problem:{code}","code":"{code}","detail":"not now"}}"#);
    answer(status, [("content-type", "application/problem+json"), ("x-request-id", "1"), ("retry-after", "0")], &body)
}

/// A proxy's response when its backend is down.
fn bad_gateway(status: u16) -> String {
    answer(status, [("content-type", "text/html"), ("retry-after", "0")], "<html>")
}

fn cut(answer: &str) -> String {
    answer[..answer.len() - 20].to_owned()
}

/// Makes all kinds of changes and returns their errors.
async fn changes(client: &Client) -> [Error; 4] {
    let etag = serde_json::from_str::<user_service_client::User>(JOHN).unwrap().etag();
    [
        client.create_user(&john()).await.unwrap_err(),
        client.update_user(1, &john(), Some(&etag)).await.unwrap_err(),
        client.patch_user(1, &UserPatch::default(), Some(&etag)).await.unwrap_err(),
        client.delete_user(1, Some(&etag)).await.unwrap_err(),
    ]
}

/// What the service answers to a change that it makes.
fn made(seen: &Seen) -> String {
    match seen.method.as_str() {
        "POST" => created(),
        "DELETE" => answer(204, [("x-request-id", "1")], ""),
        _ => ok(JOHN),
    }
}

/// By its key the service recognizes a change that it has made.
#[tokio::test]
async fn a_change_of_unknown_outcome_is_repeated_with_the_same_key() {
    let lost = [String::new(), cut(&created()), cut(&ok(JOHN)), bad_gateway(502), bad_gateway(503), bad_gateway(504)];
    for text in lost.into_iter().chain([problem(504, "outcome_unknown")]) {
        let fake = Fake::start({
            let text = text.clone();
            move |number, seen| if number % 3 < 2 { text.clone() } else { made(seen) }
        })
        .await;
        let (client, patch) = (fake.client(), UserPatch::default());
        client.create_user(&john()).await.unwrap();
        client.update_user(1, &john(), None).await.unwrap();
        client.patch_user(1, &patch, None).await.unwrap();
        client.delete_user(1, None).await.unwrap();
        let seen = fake.seen();
        let methods = Vec::from_iter(seen.chunks(3).map(|attempts| attempts[0].method.as_str()));
        assert_eq!(methods, ["POST", "PUT", "PATCH", "DELETE"], "{text}");
        let mut keys = HashSet::new();
        for attempts in seen.chunks(3) {
            let of = |seen: &Seen| (seen.method.clone(), seen.body.clone(), seen.headers["idempotency-key"].clone());
            assert!(attempts.len() == 3 && attempts.iter().all(|seen| of(seen) == of(&attempts[0])), "{attempts:#?}");
            assert!(keys.insert(attempts[0].headers["idempotency-key"].clone()), "each change has its own key");
        }
    }
}

#[tokio::test]
async fn without_a_known_outcome_until_the_deadline_it_is_unknown() {
    for text in [cut(&created()), bad_gateway(502), problem(504, "outcome_unknown")] {
        let fake = Fake::start({
            let text = text.clone();
            move |_, _| text.clone()
        })
        .await;
        let client = fake.builder().timeout(Duration::from_millis(500)).build().unwrap();
        for error in changes(&client).await {
            assert!(matches!(error, Error::OutcomeUnknown { .. }), "{text}: {error:?}");
            // None if the deadline has passed during the last attempt.
            assert!(error.code().is_none_or(|code| *code == Code::OutcomeUnknown), "{text}: {error:?}");
        }
        assert!(fake.seen().len() > 4, "{text}: changes are repeated");
    }
}

#[tokio::test]
async fn a_change_that_was_not_executed_is_retried() {
    for (status, code) in [(503, "overloaded"), (503, "unavailable"), (429, "too_many_requests")] {
        let fake = Fake::start(move |number, _| if number < 2 { problem(status, code) } else { created() }).await;
        fake.client().create_user(&john()).await.unwrap();
        let seen = fake.seen();
        let first = (&seen[0].headers["x-request-id"], &seen[0].body);
        let is_the_same = |seen: &Seen| (&seen.headers["x-request-id"], &seen.body) == first;
        assert!(seen.len() == 3 && seen.iter().all(is_the_same), "{seen:#?}");
    }
}

#[tokio::test]
async fn a_read_is_retried() {
    for text in [String::new(), cut(&ok(JOHN)), bad_gateway(502), bad_gateway(503), problem(503, "overloaded")] {
        let fake = Fake::start(move |number, _| if number < 2 { text.clone() } else { ok(JOHN) }).await;
        assert_eq!(fake.client().get_user(1).await.unwrap().name, "John");
        assert_eq!(fake.seen().len(), 3);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Fake::start(|_, _| created()).await;
    let location = format!("{}/api/v2/users", elsewhere.url());
    let fake = Fake::start(move |_, _| answer(307, [("location", location.as_str())], "")).await;
    for error in changes(&fake.client()).await {
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    }
    let error = fake.client().get_user(1).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
    assert_eq!((fake.seen().len(), elsewhere.seen().len()), (5, 0));
}

#[tokio::test]
async fn a_change_that_was_never_sent_has_a_known_outcome() {
    // Reserves the port without listening on it.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    for client in [Client::rest(&url), Client::grpc(&url)] {
        // Generous, for busy machines.
        for error in changes(&client.timeout(Duration::from_mins(1)).build().unwrap()).await {
            assert!(matches!(error, Error::NoAnswer { .. }) && error.is_transient(), "{error:?}");
        }
    }
}

#[tokio::test]
async fn the_client_replaces_a_rejected_token() {
    let fake = Fake::start(|_, seen| {
        if seen.headers["authorization"] == "Bearer new" { created() } else { problem(401, "invalid_token") }
    })
    .await;
    let token = Token::provider(|ask| async move {
        Ok::<_, std::io::Error>(match ask {
            Ask::Usual => "old",
            Ask::Refused => "new",
        })
    });
    fake.builder().token(token).build().unwrap().create_user(&john()).await.unwrap();
    let error = fake.builder().token(Token::fixed("old")).build().unwrap().create_user(&john()).await.unwrap_err();
    assert_eq!(error.code(), Some(&Code::InvalidToken));
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn several_users_take_one_request_for_a_thousand() {
    let fake = Fake::start(|number, seen| {
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/api/v2/users:batchGet"));
        match number {
            0 => bad_gateway(502),
            _ => ok(&format!("{{\"users\":[{JOHN}],\"missing\":[2]}}")),
        }
    })
    .await;
    let ids = Vec::from_iter(1..=1001);
    let users = fake.client().get_users(&ids).await.unwrap();
    assert_eq!(Vec::from_iter(users.iter().map(|user| user.id)), [1, 1]);
    assert_eq!(fake.seen().len(), 3, "the first is sent again");
    assert_eq!(fake.client().get_users(&[]).await.unwrap(), []);
}

/// A stream that breaks several times, with a proxy's refusal in between.
fn interrupted(number: usize, _: &Seen) -> String {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 1\n";
    let event = |id, kind: &str| {
        format!(
            "id: {id}\nevent: {kind}\ndata: {{\"type\":\"{kind}\",\"id\":\"e{id}\",\"time\":\"2026-01-31T12:00:00Z\",\
             \"data\":{{\"id\":1,\"version\":3}}}}\n\n"
        )
    };
    match number {
        // The last event is incomplete, so the client must not return it.
        0 => format!("{head}id: 4\n\n{}{}", event(5, "user.deleted"), event(6, "user.deleted").trim_end()),
        1 => bad_gateway(503),
        // Only a heartbeat.
        2 => format!("{head}id: 5\n\n: nothing new\nid: 8\n\n"),
        3 => format!("{head}id: 8\n\n{}{}", event(9, "user.merged"), event(10, "user.deleted")),
        _ => problem(410, "events_gone"),
    }
}

#[tokio::test]
async fn a_stream_resumes_after_its_last_position() {
    let fake = Fake::start(interrupted).await;
    let notices = fake.client().watch_users(WatchUsers::new().types([EventType::Deleted]));
    let received = Mutex::new(Vec::new());
    let end = notices
        .try_for_each(async |notice| {
            received.lock().unwrap().push((notice.position, notice.event.map(|event| event.id)));
            Ok(())
        })
        .await
        .unwrap_err();
    assert_eq!(end.code(), Some(&Code::EventsGone));
    let event = |id: &str| Some(id.to_owned());
    assert_eq!(
        received.into_inner().unwrap(),
        [(4, None), (5, event("e5")), (5, None), (8, None), (8, None), (9, None), (10, event("e10"))]
    );
    let asked = Vec::from_iter(fake.seen().iter().map(|seen| seen.headers.get("last-event-id").cloned()));
    let after = |id: &str| Some(id.to_owned());
    assert_eq!(asked, [None, after("5"), after("5"), after("8"), after("10")]);
    assert!(fake.seen().iter().all(|seen| seen.path == "/api/v2/events?type=user.deleted"));
}

#[tokio::test]
async fn a_stream_that_cannot_begin_returns_an_error() {
    let fake = Fake::start(|_, _| bad_gateway(503)).await;
    let client = fake.client().with_timeout(Duration::from_millis(100));
    let mut notices = client.watch_users(WatchUsers::new());
    assert!(notices.next().await.unwrap().unwrap_err().is_transient());
    assert!(notices.next().await.is_none());
}

//! The client against the real server, over both protocols.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use rstest::rstest;
use tokio::time::timeout;
use user_service_client::{
    Ask, Client, Code, Error, Event, EventType, ListUsers, Notice, Token, User, UserFields, UserPatch, WatchUsers,
};

use crate::support::{App, Db, Speaks, TOKEN, at_once, claims, token};

/// Longer than a stream needs to deliver an event, even on a busy machine.
const SOON: Duration = Duration::from_secs(15);

fn john() -> UserFields {
    UserFields::new("John", "john@example.com")
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    let error = result.expect_err("an error");
    error.code().unwrap_or_else(|| panic!("not a problem: {error:?}")).clone()
}

#[rstest]
#[tokio::test]
async fn a_user_lives(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let created = client.create_user(&john()).await.unwrap();
    assert_eq!((created.id, created.name.as_str(), created.version), (1, "John", 1));
    assert_eq!(client.get_user(1).await.unwrap(), created);

    let johnny = UserFields::new("Johnny", "johnny@example.com");
    let updated = client.update_user(1, &johnny, Some(&created.etag())).await.unwrap();
    assert_eq!((updated.name.as_str(), updated.email.as_str(), updated.version), ("Johnny", "johnny@example.com", 2));
    assert_eq!(updated.created_at, created.created_at);
    assert_eq!(client.get_user(1).await.unwrap(), updated);

    let jim = UserPatch::default().name("Jim");
    let patched = client.patch_user(1, &jim, Some(&updated.etag())).await.unwrap();
    assert_eq!((patched.name.as_str(), patched.email.as_str(), patched.version), ("Jim", "johnny@example.com", 3));
    assert_eq!(client.patch_user(1, &UserPatch::default(), None).await.unwrap().version, 4);

    for stale in [&created, &updated, &patched].map(User::etag) {
        assert_eq!(code(client.update_user(1, &john(), Some(&stale)).await), Code::VersionMismatch);
        assert_eq!(code(client.patch_user(1, &jim, Some(&stale)).await), Code::VersionMismatch);
        assert_eq!(code(client.delete_user(1, Some(&stale)).await), Code::VersionMismatch);
    }

    client.delete_user(1, Some(&client.get_user(1).await.unwrap().etag())).await.unwrap();
    assert_eq!(code(client.get_user(1).await), Code::UserNotFound);
    assert_eq!(code(client.update_user(1, &john(), None).await), Code::UserNotFound);
    assert_eq!(code(client.patch_user(1, &jim, None).await), Code::UserNotFound);
    assert_eq!(code(client.delete_user(1, None).await), Code::UserNotFound);
}

#[rstest]
#[tokio::test]
async fn what_is_wrong_is_told(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    client.create_user(&john()).await.unwrap();
    assert_eq!(code(client.create_user(&UserFields::new("Other", "JOHN@example.com")).await), Code::EmailTaken);
    assert_eq!(code(client.get_user(0).await), Code::InvalidId);

    let traced = client
        .with_request_id("order-17".parse().unwrap())
        .with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
    let error = traced.create_user(&UserFields::new("", "ada")).await.unwrap_err();
    let problem = error.problem().unwrap();
    let fields = Vec::from_iter(problem.fields.iter().map(|field| field.field.as_str()));
    assert_eq!((&problem.code, fields), (&Code::InvalidUser, vec!["name", "email"]));
    assert!(problem.fields.iter().all(|field| !field.detail.is_empty()), "{problem:?}");
    assert_eq!(problem.request_id, "order-17");
    assert_eq!(problem.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
}

/// Over gRPC, which has no export, the client lists the users.
#[rstest]
#[tokio::test]
async fn an_export_and_what_follows_make_a_copy(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let users = create(&client, 30).await;
    let export = client.export_users(ListUsers::new()).await.unwrap();
    let resume_after = export.resume_after;
    assert_eq!(export.users.try_collect::<Vec<_>>().await.unwrap(), users);
    client.delete_user(7, None).await.unwrap();
    let mut watch = client.watch_users(WatchUsers::new().after(resume_after));
    let next = async {
        loop {
            if let Some(event) = watch.next().await.unwrap().unwrap().event {
                return event;
            }
        }
    };
    let event = timeout(SOON, next).await.unwrap();
    assert_eq!((event.user_id, event.r#type), (7, EventType::Deleted));
    let named = client.export_users(ListUsers::new().name_prefix("user 1")).await.unwrap();
    let ones = users.iter().filter(|user| user.name == "User 1" && user.id != 7).count();
    assert_eq!(named.users.try_collect::<Vec<_>>().await.unwrap().len(), ones);
    let refused =
        async { client.export_users(ListUsers::new().email("nobody")).await?.users.try_collect::<Vec<_>>().await };
    assert_eq!(code(refused.await), Code::InvalidQuery);
}

#[rstest]
#[tokio::test]
async fn a_token_decides(#[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks) {
    let app = App::start(Db::Sqlite).await;
    let with = |token| speaks.to(speaks.address(&app)).token(token).build().unwrap();
    let reader = with(Token::fixed(token(&claims("users:read"))));
    assert_eq!(code(reader.create_user(&john()).await), Code::InsufficientScope);
    assert_eq!(code(reader.get_user(1).await), Code::UserNotFound);
    assert_eq!(code(with(Token::fixed("nonsense")).create_user(&john()).await), Code::InvalidToken);

    // The provider returns a stale token until the service refuses it.
    let is_refused = Arc::new(AtomicBool::new(false));
    let kept = Arc::clone(&is_refused);
    let renewed = with(Token::provider(move |ask| {
        kept.fetch_or(ask == Ask::Refused, Relaxed);
        let token = if kept.load(Relaxed) { TOKEN.clone() } else { "nonsense".to_owned() };
        async { Ok::<_, std::io::Error>(token) }
    }));
    renewed.create_user(&john()).await.unwrap();
    assert!(is_refused.load(Relaxed));
}

/// Creates `count` users with ids from 1.
async fn create(client: &Client, count: usize) -> Vec<User> {
    let create = |n| async move {
        let fields = UserFields::new(format!("User {}", n % 3), format!("user{n}@example.com"));
        client.create_user(&fields).await.unwrap()
    };
    let mut users = at_once(count, create).await;
    users.sort_by_key(|user| user.id);
    users
}

#[rstest]
#[tokio::test]
async fn a_list_has_all_pages(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let everyone = create(&client, 25).await;
    let list = async |list| client.list_users(list).try_collect::<Vec<_>>().await.unwrap();
    for size in [1, 5, 24, 25, 100] {
        assert_eq!(list(ListUsers::new().page_size(size)).await, everyone, "{size}");
    }
    let ones = Vec::from_iter(everyone.iter().filter(|user| user.name == "User 1").cloned());
    assert_eq!(list(ListUsers::new().name_prefix("uSER 1").page_size(2)).await, ones);
    assert_eq!(list(ListUsers::new().email("USER7@example.com")).await.len(), 1);
    assert_eq!(list(ListUsers::new().email("nobody@example.com")).await, []);
    let refused = client.list_users(ListUsers::new().email("nobody")).next().await.unwrap();
    assert!(refused.unwrap_err().problem().is_some());
}

#[rstest]
#[tokio::test]
async fn many_users_are_got_at_once(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    create(&client, 120).await;
    client.delete_user(7, None).await.unwrap();
    let ids = Vec::from_iter((1..=130).rev());
    let got = client.get_users(&ids).await.unwrap();
    let expected = Vec::from_iter((1..=120).rev().filter(|id| *id != 7));
    assert_eq!(Vec::from_iter(got.iter().map(|user| user.id)), expected);
    assert_eq!(client.get_users(&[]).await.unwrap(), []);
    assert_eq!(code(client.get_users(&[1, 0]).await), Code::InvalidId);
}

async fn next(notices: &mut (impl futures::Stream<Item = Result<Notice, Error>> + Unpin)) -> Notice {
    timeout(SOON, notices.next()).await.expect("a notice in time").expect("another notice").unwrap()
}

/// The next event, and its offset.
async fn event(notices: &mut (impl futures::Stream<Item = Result<Notice, Error>> + Unpin)) -> (i64, Event) {
    loop {
        let Notice { position, event, .. } = next(notices).await;
        if let Some(event) = event {
            return (position, event);
        }
    }
}

#[rstest]
#[tokio::test]
async fn changes_are_watched(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    client.create_user(&UserFields::new("Jane", "jane@example.com")).await.unwrap();
    let mut notices = client.watch_users(WatchUsers::new());
    let begin = next(&mut notices).await;
    assert_eq!(begin.event, None);

    let created = client.create_user(&john()).await.unwrap();
    let updated = client.patch_user(created.id, &UserPatch::default().name("Jim"), None).await.unwrap();
    client.delete_user(created.id, None).await.unwrap();
    let mut told = Vec::new();
    for (r#type, user) in
        [(EventType::Created, Some(&created)), (EventType::Updated, Some(&updated)), (EventType::Deleted, None)]
    {
        let (position, event) = event(&mut notices).await;
        assert_eq!((event.r#type, event.user.as_ref(), event.user_id), (r#type, user, created.id));
        told.push((position, event));
    }
    assert_eq!(Vec::from_iter(told.iter().map(|(_, event)| event.version)), [1, 2, 3]);

    // A second watcher resumes where the first began, and receives the same events.
    let mut again = client.watch_users(WatchUsers::new().after(begin.position));
    for told in &told {
        assert_eq!(event(&mut again).await, *told);
    }
    let mut deletions = client.watch_users(WatchUsers::new().after(0).types([EventType::Deleted]));
    assert_eq!(event(&mut deletions).await, told[2]);
}

#[rstest]
#[tokio::test]
async fn what_was_never_there_cannot_be_gone_on_from(#[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks) {
    let app = App::start(Db::Sqlite).await;
    let mut notices = speaks.client(&app).watch_users(WatchUsers::new().after(99));
    let end = timeout(SOON, notices.next()).await.expect("an answer in time").expect("an error");
    assert_eq!(code(end), Code::EventsGone);
    assert!(notices.next().await.is_none());
}

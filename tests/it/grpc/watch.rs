//! gRPC: the stream of changes.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;
use tokio::time::timeout;
use tonic::{Code, Request, Status, Streaming};

use crate::support::proto::{EventType, UserEvent, WatchUsersRequest, WatchUsersResponse};
use crate::support::{Answered, App, Db, Grpc, LiveStream, SECRET, claims, details, now, token, until};

const SOON: Duration = Duration::from_secs(15);

struct Watch {
    messages: Streaming<WatchUsersResponse>,
    position: i64,
}

impl Watch {
    async fn open(grpc: &mut Grpc, after: Option<i64>, types: &[EventType]) -> Result<Self, Status> {
        let types = types.iter().map(|&it| it.into()).collect();
        let messages = grpc.watch_users(WatchUsersRequest { after, types }).await?.into_inner();
        let mut watch = Self { messages, position: -1 };
        assert_eq!(watch.message().await?.unwrap().event, None, "the first message holds no event");
        Ok(watch)
    }

    async fn message(&mut self) -> Result<Option<WatchUsersResponse>, Status> {
        let message = timeout(SOON, self.messages.message()).await.expect("a message in time")?;
        self.position = message.as_ref().map_or(self.position, |message| message.position);
        Ok(message)
    }

    async fn event(&mut self) -> Result<UserEvent, Status> {
        loop {
            if let Some(event) = self.message().await?.expect("a stream ends with a status").event {
                return Ok(event);
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn every_change_is_told(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let mut watch = Watch::open(&mut grpc, None, &[]).await.unwrap();
    let mut stream = LiveStream::open(&app).await;
    app.create("John", "john@example.com").await;
    app.patch("/api/v2/users/1", &json!({ "name": "Jim" })).answer().await.expect(200);
    app.delete("/api/v2/users/1").answer().await.expect(204);
    let events = [watch.event().await.unwrap(), watch.event().await.unwrap(), watch.event().await.unwrap()];
    let told = stream.take(3).await;
    for (event, told) in events.iter().zip(&told) {
        assert_eq!((json!(event.id), event.user_id, event.version), (told.data["id"].clone(), 1, told.version()));
    }
    let types = [EventType::UserCreated, EventType::UserUpdated, EventType::UserDeleted];
    assert_eq!(events.each_ref().map(UserEvent::r#type), types);
    let names = events.each_ref().map(|event| event.user.as_ref().map(|user| user.name.as_str()));
    assert_eq!(names, [Some("John"), Some("Jim"), None], "a deletion holds no personal data");
    assert_eq!(events[1].user.as_ref().unwrap().etag, "\"2\"");
    assert_eq!(watch.position, told[2].id, "offsets equal REST's ids");
}

#[rstest]
#[tokio::test]
async fn it_goes_on_where_it_was(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let mut watch = Watch::open(&mut grpc, None, &[]).await.unwrap();
    app.create("A", "a@example.com").await;
    watch.event().await.unwrap();
    let position = watch.position;
    drop(watch);
    app.create("B", "b@example.com").await;
    app.delete("/api/v2/users/1").answer().await.expect(204);
    let mut again = Watch::open(&mut grpc, Some(position), &[EventType::UserDeleted]).await.unwrap();
    let event = again.event().await.unwrap();
    assert_eq!((event.r#type(), event.user_id), (EventType::UserDeleted, 1), "only the requested type");
    let mut all = Watch::open(&mut grpc, Some(0), &[]).await.unwrap();
    for user_id in [1, 2, 1] {
        assert_eq!(all.event().await.unwrap().user_id, user_id);
    }
}

#[rstest]
#[tokio::test]
async fn what_is_gone_is_said_to_be(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut grpc = app.grpc();
    let status = Watch::open(&mut grpc, Some(i64::MAX), &[]).await.err().expect("the offset does not exist");
    assert_eq!(status.code(), Code::OutOfRange);
    details(&status, "EVENTS_GONE");
}

#[tokio::test]
async fn it_ends_with_the_token() {
    let app = App::start_with(Db::Sqlite, &[("JWT_LEEWAY", "0s"), ("JWT_SECRET", SECRET)]).await;
    let claims = json!({ "sub": "me", "scope": "users:read", "exp": now() + 2 });
    let mut grpc = app.grpc_with(&token(&claims));
    let mut watch = Watch::open(&mut grpc, None, &[]).await.unwrap();
    let status = watch.event().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the token has expired"));
    until("the end is counted", SOON, async || {
        let labels = [("method", "users.v1.UserService/WatchUsers"), ("code", "UNAUTHENTICATED")];
        app.metrics().await.sum("grpc_requests_total", &labels) == 1
    })
    .await;
}

#[tokio::test]
async fn it_ends_with_its_callers_deadline() {
    let app = App::start(Db::Sqlite).await;
    let mut grpc = app.grpc_with(&token(&claims("users:read")));
    let mut request = Request::new(WatchUsersRequest::default());
    request.set_timeout(Duration::from_millis(700));
    let mut messages = grpc.watch_users(request).await.unwrap().into_inner();
    let begun = Instant::now();
    while let Ok(Some(_)) = messages.message().await {}
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn it_ends_when_the_service_does() {
    let mut app = App::start(Db::Sqlite).await;
    let mut grpc = app.grpc();
    let mut watch = Watch::open(&mut grpc, None, &[]).await.unwrap();
    app.signal("TERM");
    let status = watch.event().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(details(&status, "STREAM_OVER").retry_info().is_some());
    assert_eq!(app.exit(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn readers_of_both_protocols_share_the_places() {
    let app = App::start_with(Db::Sqlite, &[("EVENTS_MAX_READERS", "1")]).await;
    let mut grpc = app.grpc();
    let stream = LiveStream::open(&app).await;
    let status = Watch::open(&mut grpc, None, &[]).await.err().expect("no permit is free");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(details(&status, "OVERLOADED").retry_info().is_some());
    drop(stream);
    until("the permit is free", SOON, async || Watch::open(&mut grpc, None, &[]).await.is_ok()).await;
}

//! The live stream when another database replaces the first, as after a failover to a standby that lagged. That
//! database lacks the last events and has others at their offsets. Offsets alone do not show this once they go further.

use std::time::Duration;

use futures::StreamExt as _;
use rstest::rstest;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use user_service_client::{Code as Problem, WatchUsers};

use crate::support::proto::{WatchUsersRequest, WatchUsersResponse};
use crate::support::{
    Answer, Answered, App, Connection, Db, LiveStream, Server, Speaks, Told, details, insert_events, lose_events, until,
};

const SOON: Duration = Duration::from_secs(20);
const A_WHILE: Duration = Duration::from_millis(700);
/// The number of events before the failover.
const OLD: u32 = 420;
/// The last offset up to which both logs are the same.
const KEPT: i64 = 20;

async fn resume(server: &Server, last_id: i64) -> Answer {
    server.get("/api/v2/events").header("last-event-id", last_id.to_string()).answer().await
}

/// A stream that has delivered all events.
async fn reader(app: &App) -> LiveStream {
    let mut stream = LiveStream::resume(app, 0).await;
    stream.take(OLD as usize).await;
    stream
}

async fn until_nobody_reads(app: &App) {
    until("no reader is left", SOON, async || app.metrics().await.value("event_stream_readers") == 0.0).await;
}

/// The advice after 410 works: a new stream delivers what happens from then on.
async fn beginning_anew_works(app: &App, email: &str) {
    let mut anew = LiveStream::open(app).await;
    app.create("John", email).await;
    assert_eq!(anew.next().await.unwrap().data["data"]["email"], email);
}

#[rstest]
#[tokio::test]
async fn a_stream_ends_and_its_client_is_told_to_begin_anew(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    // The new log is behind the stream's offset, or beyond it.
    #[values(30, 520)] end: i64,
) {
    let app = App::start(db).await;
    let mut connection = app.database.connect();
    insert_events(&mut connection, OLD);
    let mut stream = reader(&app).await;
    lose_events(&mut connection, KEPT, end);
    assert_eq!(stream.next().await, None, "the stream ends, without events of the other log");
    resume(&app, stream.last_id).await.problem(410, "events_gone");
    // A client that had not read everything at that time.
    resume(&app, 300).await.problem(410, "events_gone");
    beginning_anew_works(&app, "john@example.com").await;
    assert_eq!(LiveStream::open(&app).await.last_id, end + 1);
    let beyond = i64::from(OLD) + 50;
    if end > beyond {
        assert_eq!(LiveStream::resume(&app, beyond).await.take(50).await.len(), 50, "only the new log has this offset");
    }
    // The client's last id stays invalid.
    resume(&app, stream.last_id).await.problem(410, "events_gone");
}

#[rstest]
#[tokio::test]
async fn a_call_over_grpc_ends_too(#[values(Db::Sqlite, Db::Postgres)] db: Db, #[values(30, 520)] end: i64) {
    let app = App::start(db).await;
    let mut connection = app.database.connect();
    insert_events(&mut connection, OLD);
    let mut grpc = app.grpc();
    let from_the_end = WatchUsersRequest { after: Some(i64::from(OLD)), types: Vec::new() };
    let mut messages = grpc.watch_users(from_the_end).await.unwrap().into_inner();
    let begin = messages.message().await.unwrap().unwrap();
    assert_eq!((begin.position, begin.event), (i64::from(OLD), None));
    lose_events(&mut connection, KEPT, end);
    let (after, status) = timeout(SOON, last(&mut messages)).await.expect("an end in time");
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    details(&status, "EVENTS_GONE");
    let again = WatchUsersRequest { after: Some(after), types: Vec::new() };
    let status = grpc.watch_users(again).await.expect_err("the offset is invalid");
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
}

/// The last offset that the stream delivered, and its status.
async fn last(messages: &mut Streaming<WatchUsersResponse>) -> (i64, Status) {
    let mut after = -1;
    loop {
        match messages.message().await {
            Ok(message) => {
                let message = message.expect("a stream ends with a status");
                assert_eq!(message.event, None, "an event of the other log");
                after = message.position;
            }
            Err(status) => return (after, status),
        }
    }
}

/// The client crate reconnects by itself, but it must not hide this from its caller.
#[rstest]
#[tokio::test]
async fn the_client_crate_tells_its_caller(#[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks) {
    let app = App::start(Db::Sqlite).await;
    let mut connection = app.database.connect();
    insert_events(&mut connection, OLD);
    let mut notices = speaks.client(&app).watch_users(WatchUsers::new().after(i64::from(OLD)));
    timeout(SOON, notices.next()).await.expect("a beginning").expect("a notice").expect("no error");
    lose_events(&mut connection, KEPT, 520);
    let error = async {
        loop {
            match notices.next().await.expect("the stream ends with an error") {
                Ok(notice) => assert_eq!(notice.event, None, "an event of the other log"),
                Err(error) => return error,
            }
        }
    };
    let error = timeout(SOON, error).await.expect("an end in time");
    assert_eq!(error.code(), Some(&Problem::EventsGone), "{error:?}");
}

/// While no stream is open, the service does not poll, so its memory holds events of the old log.
#[rstest]
#[tokio::test]
async fn it_is_noticed_although_nobody_read(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    // The last one is so far that the old events would no longer be checked.
    #[values(30, 520, 6000)] end: i64,
) {
    let app = App::start(db).await;
    let mut connection = app.database.connect();
    insert_events(&mut connection, OLD);
    drop(reader(&app).await);
    until_nobody_reads(&app).await;
    lose_events(&mut connection, KEPT, end);
    beginning_anew_works(&app, "john@example.com").await;
    resume(&app, 300).await.problem(410, "events_gone");
    let beyond = i64::from(OLD) + 50;
    if end > beyond {
        let told = LiveStream::resume(&app, beyond).await.take(50).await;
        assert!(!told.iter().any(is_old), "{told:?}");
    }
}

/// Whether [`insert_events`] wrote the event, with its offset as the version.
fn is_old(told: &Told) -> bool {
    told.version() == told.id
}

/// A slow reader reads from the database, far behind the events in memory.
#[rstest]
#[tokio::test]
async fn a_slow_reader_is_told_nothing_of_the_other_log(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut connection = app.database.connect();
    insert_events(&mut connection, 20_000);
    let mut slow = LiveStream::resume(&app, 0).await;
    lose_events(&mut connection, KEPT, 30_000);
    let told = slow.take_all().await;
    assert!(told.len() < 20_000 && told.iter().all(is_old), "{} events", told.len());
    resume(&app, slow.last_id).await.problem(410, "events_gone");
}

/// The event at the stream's offset is pruned.
#[rstest]
#[tokio::test]
async fn retention_is_no_failover(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut connection = app.database.connect();
    insert_events(&mut connection, OLD);
    let mut stream = reader(&app).await;
    prune(&mut connection, OLD);
    assert!(stream.is_silent_for(A_WHILE).await);
    app.create("John", "john@example.com").await;
    assert_eq!(stream.next().await.unwrap().data["data"]["email"], "john@example.com");
    // But a log with fewer pruned events is an older one.
    prune(&mut connection, OLD + 1);
    assert!(stream.is_silent_for(A_WHILE).await);
    connection.run("UPDATE event_log SET pruned_to = 10");
    assert_eq!(stream.next().await, None);
}

fn prune(connection: &mut Connection, to: u32) {
    connection
        .run(&format!("BEGIN; DELETE FROM events WHERE id <= {to}; UPDATE event_log SET pruned_to = {to}; COMMIT"));
}

/// Gaps of the old log mean nothing in the new one, where a transaction may still fill them.
#[tokio::test]
async fn whoever_commits_late_in_the_new_log_is_waited_for() {
    const BEGIN: &str = "BEGIN; INSERT INTO events (kind, user_id, version, occurred_at, salt)
        VALUES (3, 999, 7, CURRENT_TIMESTAMP, 1)";
    let app = App::start(Db::Postgres).await;
    let mut stream = LiveStream::open(&app).await;
    let mut old = app.database.connect();
    old.run(BEGIN);
    app.create("Jane", "jane@example.com").await;
    app.create("Joe", "joe@example.com").await;
    assert!(stream.is_silent_for(A_WHILE).await, "the first offset is a gap");
    app.database.connect().run("DELETE FROM events; SELECT setval(pg_get_serial_sequence('events', 'id'), 2, false)");
    let mut late = app.database.connect();
    late.run(BEGIN);
    app.create("John", "john@example.com").await;
    old.run("ROLLBACK");
    // A new stream begins with a poll.
    LiveStream::open(&app).await;
    late.run("COMMIT");
    let told = Vec::from_iter(stream.take(2).await.iter().map(Told::user_id));
    assert_eq!(told, [999, 3]);
}

/// Another database, a copy that lagged, replaces the first.
#[tokio::test]
async fn a_copy_that_has_gone_its_own_way_takes_over() {
    let app = App::start(Db::Postgres).await;
    app.create("Jane", "jane@example.com").await;
    let copy = app.database.copy();
    until_ready(&app).await;
    let mut stream = LiveStream::resume(&app, 0).await;
    insert_events(&mut app.database.connect(), OLD);
    stream.take(1 + OLD as usize).await;
    lose_events(&mut copy.connect(), 1, 520);
    app.database.replace_with(&copy);
    assert_eq!(stream.next().await, None);
    resume(&app, stream.last_id).await.problem(410, "events_gone");
    until_ready(&app).await;
    beginning_anew_works(&app, "john@example.com").await;
}

async fn until_ready(app: &App) {
    until("the server is ready", SOON, async || app.get("/ready").answer().await.status == 200).await;
}

//! The live stream: a client that resumes misses nothing, or gets 410.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use rstest::rstest;

use crate::support::{Answered, App, CLIENTS, Db, LiveStream, Told, at_once, insert_events, until, user};

#[rstest]
#[tokio::test]
async fn it_goes_on_where_the_client_was(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    let mut stream = LiveStream::open(&app).await;
    for number in 1..=5 {
        app.create("John", &format!("john{number}@example.com")).await;
    }
    assert_eq!(user_ids(&stream.take(3).await), [1, 2, 3]);
    let last = stream.last_id;
    drop(stream);
    assert_eq!(user_ids(&LiveStream::resume(&app, last).await.take(2).await), [4, 5]);
    app.restart().await;
    app.create("John", "john6@example.com").await;
    let mut stream = LiveStream::resume(&app, last).await;
    assert_eq!(user_ids(&stream.take(3).await), [4, 5, 6]);
    // A stream that resumes at the end waits for the next event.
    let mut stream = LiveStream::resume(&app, stream.last_id).await;
    app.create("John", "john7@example.com").await;
    assert_eq!(user_ids(&stream.take(1).await), [7]);
}

/// A client that received no event resumes with the id from the beginning of the stream.
#[rstest]
#[tokio::test]
async fn a_stream_that_delivered_no_event_can_be_resumed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john1@example.com").await;
    let begin = LiveStream::open(&app).await.last_id;
    app.create("John", "john2@example.com").await;
    assert_eq!(user_ids(&LiveStream::resume(&app, begin).await.take(1).await), [2]);
}

/// Reads more events than memory holds, while new ones happen.
#[rstest]
#[tokio::test]
async fn it_goes_back_to_the_beginning(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const PAST: u32 = 20_000;
    let app = App::start(db).await;
    insert_events(&mut app.database.connect(), PAST);
    let mut stream = LiveStream::resume(&app, 0).await;
    let mut deletions = LiveStream::on(app.get("/api/v2/events?type=user.deleted").header("last-event-id", "0")).await;
    for number in 0..50 {
        app.create("John", &format!("john{number}@example.com")).await;
    }
    let told = stream.take(PAST as usize + 50).await;
    let (past, live) = told.split_at(PAST as usize);
    assert!(past.iter().zip(1..).all(|(told, version)| told.version() == version));
    assert_eq!(user_ids(live), Vec::from_iter(1..=50));
    app.delete("/api/v2/users/7").answer().await.expect(204);
    assert_eq!(user_ids(&deletions.take(1).await), [7]);
}

/// A client that disconnects and resumes again and again.
#[rstest]
#[tokio::test]
async fn nothing_is_lost_or_told_twice(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const USERS: usize = 600;
    let app = App::start(db).await;
    let mut stream = LiveStream::open(&app).await;
    let write = at_once(6, async |client: usize| {
        for turn in 0..USERS / 6 {
            app.create("John", &format!("john{client}.{turn}@example.com")).await;
        }
    });
    let read = async {
        let mut told = Vec::new();
        while told.len() < USERS {
            told.extend(stream.take(1 + told.len() % 37).await);
            if told.len() + 37 > USERS {
                told.extend(stream.take(USERS - told.len()).await);
            }
            stream = LiveStream::resume(&app, stream.last_id).await;
        }
        told
    };
    let (_, told) = futures::join!(write, read);
    let ids = BTreeSet::from_iter(user_ids(&told));
    assert_eq!((told.len(), ids.len()), (USERS, USERS));
}

#[rstest]
#[tokio::test]
async fn what_is_forgotten_is_410(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    insert_events(&mut app.database.connect(), 100);
    app.database.connect().run("BEGIN; DELETE FROM events WHERE id <= 50; UPDATE event_log SET pruned_to = 50; COMMIT");
    let gone = resume(&app, 49).await.problem(410, "events_gone");
    assert!(gone["detail"].as_str().unwrap().contains("list all users"), "{gone}");
    assert_eq!(versions(&LiveStream::resume(&app, 50).await.take(50).await), Vec::from_iter(51..=100));
    // All events are pruned, but none has happened since.
    app.database.connect().run("BEGIN; DELETE FROM events; UPDATE event_log SET pruned_to = 100; COMMIT");
    resume(&app, 99).await.problem(410, "events_gone");
    let mut stream = LiveStream::resume(&app, 100).await;
    app.create("John", "john@example.com").await;
    assert_eq!(user_ids(&stream.take(1).await), [1]);
}

/// Events that a stream has not delivered yet are pruned.
#[rstest]
#[tokio::test]
async fn whoever_falls_out_of_it_is_cut_off(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    insert_events(&mut app.database.connect(), 20_000);
    let mut stream = LiveStream::resume(&app, 0).await;
    app.database
        .connect()
        .run("BEGIN; DELETE FROM events WHERE id <= 19000; UPDATE event_log SET pruned_to = 19000; COMMIT");
    let told = stream.take_all().await;
    assert!(told.len() < 19_000, "{}", told.len());
    assert!(told.iter().zip(1..).all(|(told, version)| told.version() == version), "no event is missing until then");
    resume(&app, stream.last_id).await.problem(410, "events_gone");
}

#[rstest]
#[tokio::test]
async fn an_id_of_another_database_is_410(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    resume(&app, 1).await.problem(410, "events_gone");
    for number in 1..=3 {
        app.create("John", &format!("john{number}@example.com")).await;
        // The event exists now, whether or not the service has polled.
        let stream = LiveStream::resume(&app, number).await;
        assert_eq!(stream.last_id, number);
        resume(&app, number + 1).await.problem(410, "events_gone");
    }
}

/// `kill -9` under load: every acknowledged change is delivered.
#[rstest]
#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    let mut stream = LiveStream::open(&app).await;
    let (acknowledged, is_over) = (RefCell::new(BTreeSet::new()), Cell::new(false));
    let work = at_once(CLIENTS, async |client: usize| {
        for turn in 0.. {
            let john = user("John", &format!("john{client}.{turn}@example.com"));
            let Ok(answer) = app.post("/api/v2/users", &john).try_answer().await else { return };
            acknowledged.borrow_mut().insert(answer.body(201)["id"].as_i64().unwrap());
        }
    });
    let kill = async {
        until("enough users are acknowledged", Duration::from_mins(1), async || acknowledged.borrow().len() >= 1000)
            .await;
        app.signal("KILL");
        is_over.set(true);
    };
    let (_, (), before) = futures::join!(work, kill, stream.take_all());
    assert!(is_over.get() && !before.is_empty());

    app.restart().await;
    let mut stream = LiveStream::resume(&app, stream.last_id).await;
    app.create("Late", "late@example.com").await;
    let mut told = Vec::from_iter(before);
    while told.last().is_none_or(|told| told.data["data"]["name"] != "Late") {
        told.extend(stream.take(1).await);
    }
    let ids = BTreeSet::from_iter(user_ids(&told));
    assert_eq!(ids.len(), told.len(), "an event is repeated");
    let lost = Vec::from_iter(acknowledged.borrow().difference(&ids).copied());
    assert!(lost.is_empty(), "{lost:?}");
}

async fn resume(app: &App, last_id: i64) -> crate::support::Answer {
    app.get("/api/v2/events").header("last-event-id", last_id.to_string()).answer().await
}

fn user_ids(events: &[Told]) -> Vec<i64> {
    events.iter().map(Told::user_id).collect()
}

fn versions(events: &[Told]) -> Vec<i64> {
    events.iter().map(Told::version).collect()
}

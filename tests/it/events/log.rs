//! The event log as the relay uses it, through the library, because no request does.

use std::time::Duration;

use rstest::rstest;
use user_service::domain::{Error, Position, Timestamp};
use user_service::storage::{Checkpoint, DeliveryOutcome, EventLog, Follower, Leadership, Pruned, Running};
use uuid::Uuid;

use crate::support::{Database, Db, library, lose_events, until};

const LIMIT: i64 = 100;

/// A log with three events of one user.
async fn log(db: Db) -> (Database, Running, EventLog) {
    let database = db.fresh();
    let (storage, running) = library(&database);
    let log = storage.events().clone();
    until("the database is migrated", Duration::from_secs(20), async || log.heartbeat().await.is_ok()).await;
    for version in 1..=3 {
        database.connect().run(&format!(
            "INSERT INTO events (kind, user_id, version, occurred_at, salt)
            VALUES (3, 1, {version}, '2020-01-01 00:00:00.000000', 1)"
        ));
    }
    (database, running, log)
}

fn left(database: &Database) -> Vec<String> {
    database.connect().facts("SELECT CAST(id AS TEXT) AS fact FROM events ORDER BY id")
}

async fn leader(log: &EventLog) -> Uuid {
    let me = Uuid::new_v4();
    assert!(matches!(log.lead(me, None).await, Ok(Leadership::Me { .. })));
    me
}

#[rstest]
#[tokio::test]
async fn an_event_that_was_held_and_is_sent_goes_too(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, _running, log) = log(db).await;
    let me = leader(&log).await;
    let [first, second, third] = [1, 2, 3].map(Position);
    let (follower, held) = log.follow(Follower::default(), LIMIT).await.unwrap();
    let (user, seen) = (held[0].user_id, follower.checkpoint());
    let waits = |event| DeliveryOutcome::Waiting { event, user, tries: 1 };
    assert!(log.advance(me, (Position(0), second), seen, vec![waits(first), waits(second)]).await.unwrap());
    assert_eq!(log.prune(Timestamp::now(), true, LIMIT).await, Ok(Pruned::Events(0)));
    assert_eq!(left(&database), ["1", "2", "3"]);
    assert!(
        log.advance(me, (second, third), seen, vec![DeliveryOutcome::Published { event: first }, waits(third)])
            .await
            .unwrap()
    );
    assert_eq!(left(&database), ["2", "3"]);
    // The third event is published while the second is held.
    assert!(log.advance(me, (third, third), seen, vec![DeliveryOutcome::Published { event: third }]).await.unwrap());
    assert_eq!(left(&database), ["2", "3"]);
    assert_eq!(log.prune(Timestamp::now(), true, LIMIT).await, Ok(Pruned::Events(1)));
    assert_eq!(left(&database), ["2"]);
    assert_eq!(log.next_held(user).await.unwrap().map(|held| held.event.position), Some(second));
}

#[rstest]
#[tokio::test]
async fn whoever_is_late_is_told_what_is_gone(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, _running, log) = log(db).await;
    assert_eq!(log.prune(Timestamp::now(), true, LIMIT).await, Ok(Pruned::Nothing), "no event is published");
    assert_eq!(log.prune(Timestamp::now(), false, 2).await, Ok(Pruned::Events(2)));
    assert_eq!(left(&database), ["3"]);
    let last = Checkpoint::unknown(Position(3));
    assert_eq!(log.history(Position(1), last, LIMIT).await, Err(Error::EventsGone));
    assert_eq!(log.history(Position(2), last, LIMIT).await.unwrap().len(), 1);
    // The relay does not publish pruned events.
    assert_eq!(log.lead(Uuid::new_v4(), None).await, Ok(Leadership::Me { sent_to: Position(2) }));
    assert_eq!(log.backlog().await.unwrap().pending, 1);
}

/// Another database has replaced the first. It lacks the last events and has others at their offsets.
#[rstest]
#[tokio::test]
async fn another_log_is_told_from_the_first(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (database, _running, log) = log(db).await;
    let me = leader(&log).await;
    let (early, _) = log.follow(Follower::default(), 1).await.unwrap();
    let (follower, events) = log.follow(early.clone(), LIMIT).await.unwrap();
    let (seen, [first, second, third]) = (follower.checkpoint(), [1, 2, 3].map(Position));
    assert_eq!((events.len(), seen), (2, Checkpoint::of(&events[1])));
    assert!(log.advance(me, (Position(0), second), seen, Vec::new()).await.unwrap());
    lose_events(&mut database.connect(), 2, 9);
    assert_eq!(log.follow(follower, LIMIT).await.err(), Some(Error::EventsGone));
    assert_eq!(log.history(first, seen, LIMIT).await, Err(Error::EventsGone));
    // The stored progress is the same, but the third event of this log was not published.
    assert!(!log.advance(me, (second, third), seen, Vec::new()).await.unwrap());
    assert_eq!(log.lead(me, None).await, Ok(Leadership::Me { sent_to: second }));
    // A follower that was not that far continues: up to there both logs are the same.
    let (follower, events) = log.follow(early, LIMIT).await.unwrap();
    assert_eq!((events.len(), follower.position()), (8, Position(9)));
    assert!(log.advance(me, (second, Position(9)), follower.checkpoint(), Vec::new()).await.unwrap());
}

//! Follows the log while the feed has readers. Without readers it costs nothing.
//!
//! One task per process polls the log for all readers, 100 ms after the last poll. So a replica polls the database ten
//! times a second, however many readers it has. Nothing is pushed when a change is made: a write does not know whether
//! anyone reads. Each poll renders its events once, and adds them to the ring.
//!
//! After a time without readers, the first poll skips to the last 4,096 events, which most clients that reconnect want,
//! once no transaction can still commit before those.
//!
//! If the log was replaced ([`Checkpoint`](crate::storage::Checkpoint)), the task starts over near the end of the new
//! log.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::hub::{Hub, RING};
use crate::domain::Error;
use crate::storage::Follower;

/// The interval between polls of the log.
const INTERVAL: Duration = Duration::from_millis(100);
/// The interval after a poll that failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long to wait for transactions that are writing events when the first reader starts, and how often to check.
const GAP_TIMEOUT: Duration = Duration::from_secs(2);
const GAP_INTERVAL: Duration = Duration::from_millis(20);
/// The number of events per read.
const PAGE: u16 = 1024;

/// Follows the log for ever. Retries when the database is unavailable; the storage logs the reason.
pub(super) async fn tail(hub: Arc<Hub>) {
    let mut follower = Follower::default();
    let (mut was_idle, mut pause) = (true, INTERVAL);
    loop {
        if hub.has_readers() {
            let _ = timeout(pause, hub.poll_requested()).await;
        } else {
            hub.poll_requested().await;
            was_idle = true;
        }
        let number = hub.begin_poll();
        let result = poll(&hub, &mut follower, &mut was_idle).await;
        pause = if result.is_ok() { INTERVAL } else { RETRY };
        hub.end_poll(number, result);
    }
}

/// Publishes all events up to the first gap that may still be filled. Starts over if the log was replaced.
async fn poll(hub: &Hub, follower: &mut Follower, was_idle: &mut bool) -> Result<(), Error> {
    let mut result = catch_up(hub, follower, *was_idle).await;
    if result == Err(Error::EventsGone) {
        start_over(hub, follower).await?;
        result = publish_next(hub, follower).await;
    }
    *was_idle &= result.is_err();
    result
}

/// As [`poll`], but returns [`Error::EventsGone`] if the log was replaced.
async fn catch_up(hub: &Hub, follower: &mut Follower, was_idle: bool) -> Result<(), Error> {
    if was_idle {
        // Detects a replaced log, which skipping events would hide.
        hub.log().follow(follower.clone(), 0).await?;
        skip(hub, follower).await?;
    }
    publish_next(hub, follower).await
}

/// Publishes the next events of the log. [`Error::EventsGone`] if the log was replaced.
async fn publish_next(hub: &Hub, follower: &mut Follower) -> Result<(), Error> {
    let mut may_retry = true;
    loop {
        let (next, events) = hub.log().follow(follower.clone(), PAGE.into()).await?;
        *follower = next;
        let is_last = events.len() < usize::from(PAGE);
        hub.publish(events);
        // A second look often settles a gap at once, namely if no transaction is writing any more.
        if is_last && !(follower.is_waiting_for_gap() && std::mem::take(&mut may_retry)) {
            return Ok(());
        }
    }
}

/// Skips events from the time without readers, except for the last ones: readers may have seen some of those at another
/// replica.
async fn skip(hub: &Hub, follower: &mut Follower) -> Result<(), Error> {
    let near_end = hub.log().follow_from_end(RING.into()).await?;
    if near_end.position() > follower.position() {
        restart(hub, follower, near_end).await?;
    }
    Ok(())
}

/// Follows the log that replaced the previous one.
async fn start_over(hub: &Hub, follower: &mut Follower) -> Result<(), Error> {
    let followed_to = follower.position();
    let near_end = hub.log().follow_from_end(RING.into()).await?;
    restart(hub, follower, near_end).await?;
    hub.replaced(followed_to);
    log::warn!(
        "the log of events is not the one that was followed up to {followed_to}: whoever reads is to begin anew"
    );
    Ok(())
}

/// Continues near the end of the log, once no transaction can commit an event among the skipped ones any more.
async fn restart(hub: &Hub, follower: &mut Follower, mut near_end: Follower) -> Result<(), Error> {
    let deadline = Instant::now() + GAP_TIMEOUT;
    while near_end.is_waiting_for_gap() {
        near_end = hub.log().recheck(near_end).await?;
        if near_end.is_waiting_for_gap() {
            if Instant::now() > deadline {
                return Err(Error::Unavailable);
            }
            sleep(GAP_INTERVAL).await;
        }
    }
    hub.restart(near_end.checkpoint());
    *follower = near_end;
    Ok(())
}

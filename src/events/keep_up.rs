//! Follows the log as long as somebody reads the feed. While nobody does, it costs nothing.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::feed::{Feed, RING};
use crate::domain::Error;
use crate::storage::Follower;

/// How long after one look at the log comes the next.
const INTERVAL: Duration = Duration::from_millis(100);
/// The same when the database did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How long those may take who write events while somebody begins to read, and how often they are looked for.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// How many events are read at once.
const PAGE: u16 = 1024;

/// Follows the log for ever. When the database is away it goes on trying; the log of events tells what is wrong.
pub(super) async fn keep_up(feed: Feed) {
    let mut follower = Follower::default();
    let (mut has_slept, mut pause) = (true, INTERVAL);
    loop {
        if feed.has_readers() {
            let _ = timeout(pause, feed.wanted()).await;
        } else {
            feed.wanted().await;
            has_slept = true;
        }
        let number = feed.begin_look();
        let result = look(&feed, &mut follower, &mut has_slept).await;
        pause = if result.is_ok() { INTERVAL } else { RETRY };
        feed.end_look(number, result);
    }
}

/// Tells everything that is there, as far as it is certain what is next.
async fn look(feed: &Feed, follower: &mut Follower, has_slept: &mut bool) -> Result<(), Error> {
    let mut told = catch_up(feed, follower, *has_slept).await;
    if told == Err(Error::EventsGone) {
        begin_anew(feed, follower).await?;
        told = go_on(feed, follower).await;
    }
    *has_slept &= told.is_err();
    told
}

/// The same. [`Error::EventsGone`] when it is another log by now.
async fn catch_up(feed: &Feed, follower: &mut Follower, has_slept: bool) -> Result<(), Error> {
    if has_slept {
        // Asked first: what is skipped would not show it.
        feed.log().follow(follower.clone(), 0).await?;
        skip(feed, follower).await?;
    }
    go_on(feed, follower).await
}

/// Tells what comes next in the log. [`Error::EventsGone`] when it is another log by now.
async fn go_on(feed: &Feed, follower: &mut Follower) -> Result<(), Error> {
    let mut settles = true;
    loop {
        let (next, events) = feed.log().follow(follower.clone(), PAGE.into()).await?;
        *follower = next;
        let is_last = events.len() < usize::from(PAGE);
        feed.tell(events);
        // A doubt is often settled at once: when nobody is writing now.
        if is_last && !(follower.is_waiting_for_gap() && std::mem::take(&mut settles)) {
            return Ok(());
        }
    }
}

/// Leaves out what nobody was there to read, but for the last events: somebody may have seen some of those elsewhere.
async fn skip(feed: &Feed, follower: &mut Follower) -> Result<(), Error> {
    let near_end = feed.log().follow_from_end(RING.into()).await?;
    if near_end.position() > follower.position() {
        restart(feed, follower, near_end).await?;
    }
    Ok(())
}

/// Follows the log that there is now.
async fn begin_anew(feed: &Feed, follower: &mut Follower) -> Result<(), Error> {
    let followed_to = follower.position();
    let near_end = feed.log().follow_from_end(RING.into()).await?;
    restart(feed, follower, near_end).await?;
    feed.replaced(followed_to);
    log::warn!(
        "the log of events is not the one that was followed up to {followed_to}: whoever reads is to begin anew"
    );
    Ok(())
}

/// Goes on near the end of the log, once it is certain that nothing will yet be committed among what that leaves out.
async fn restart(feed: &Feed, follower: &mut Follower, mut near_end: Follower) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    while near_end.is_waiting_for_gap() {
        near_end = feed.log().recheck(near_end).await?;
        if near_end.is_waiting_for_gap() {
            if Instant::now() > deadline {
                return Err(Error::Unavailable);
            }
            sleep(PAUSE).await;
        }
    }
    feed.restart(near_end.checkpoint());
    *follower = near_end;
    Ok(())
}

//! Messages that wait for a lock of another transaction.
//!
//! On PostgreSQL the statement of a batch skips users that another transaction has locked: another replica's batch, or
//! a transaction that a person has left open. The message of such a user is set aside, and with it all later messages
//! with the same conflict keys, so that none overtakes it. The rest of the batch proceeds. So does any message found to
//! wait for a lock, such as one that a trigger takes, and any message that needs an address which an open transaction
//! has inserted.
//!
//! At most one batch of messages may be set aside, and as many may wait behind them. On SQLite there is one lock for
//! all: its holder blocks every write, and there is no telling which message waits.
//!
//! When a message is tried again is decided in `retry`.

use std::collections::HashMap;
use std::time::Instant;

use super::conflict_key::ConflictKey;
use super::message::Message;
use super::request::Request;

/// The messages of an actor, by when they run.
pub(super) struct Schedule<R: Request> {
    /// Messages that run now.
    pub(super) batch: Vec<Message<R>>,
    /// A message that runs now, in a batch without others.
    pub(super) alone: Option<Message<R>>,
    pub(super) staying: Vec<Message<R>>,
}

/// Separates the messages that run now from those that stay.
///
/// Takes at most one message that runs alone: each may cost the others a short wait.
pub(super) fn schedule<R: Request>(messages: Vec<Message<R>>, now: Instant) -> Schedule<R> {
    let mut schedule = Schedule { batch: Vec::new(), alone: None, staying: Vec::new() };
    if none_set_aside(&messages) {
        schedule.batch = messages;
        return schedule;
    }
    let decisions = decisions(&messages, now);
    let alone = first_alone(&messages, &decisions);
    for (at, (message, decision)) in messages.into_iter().zip(decisions).enumerate() {
        match decision {
            Decision::Runs => schedule.batch.push(message),
            Decision::RunsAlone if alone == Some(at) => schedule.alone = Some(message),
            Decision::RunsAlone | Decision::Pauses | Decision::Behind(_) => {
                if decision == Decision::Behind(Hold::Long) {
                    message.reply.set_aside();
                }
                schedule.staying.push(message);
            }
        }
    }
    schedule
}

/// When the next of these messages runs, if no other arrives before.
pub(super) fn next_due<R: Request>(messages: &[Message<R>], now: Instant) -> Option<Instant> {
    if none_set_aside(messages) {
        return (!messages.is_empty()).then_some(now);
    }
    let due = |(message, decision): (&Message<R>, Decision)| match decision {
        Decision::Runs | Decision::RunsAlone => Some(now),
        Decision::Pauses => message.retry.map(|retry| retry.at),
        Decision::Behind(_) => None,
    };
    messages.iter().zip(decisions(messages, now)).filter_map(due).min()
}

/// Separates those of `later` that must stay behind a message of `earlier`: they share a conflict key with it, or with
/// another message that stays.
pub(super) fn split_blocked<R: Request>(
    earlier: &[Message<R>],
    later: Vec<Message<R>>,
) -> (Vec<Message<R>>, Vec<Message<R>>) {
    let mut held = HeldKeys::default();
    for message in earlier {
        held.hold(message, Hold::Long);
    }
    let behind = Vec::from_iter(later.iter().map(|message| held.behind(message).is_some()));
    let (mut free, mut staying) = (Vec::new(), Vec::new());
    for (message, behind) in later.into_iter().zip(behind) {
        if behind { staying.push(message) } else { free.push(message) }
    }
    (free, staying)
}

fn none_set_aside<R: Request>(messages: &[Message<R>]) -> bool {
    messages.iter().all(|message| message.retry.is_none())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Runs,
    RunsAlone,
    /// Waits for its next attempt.
    Pauses,
    /// Stays behind a message that is set aside.
    Behind(Hold),
}

/// How long a conflict key will probably be held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// Until the message reaches the head of the lock's queue: a batch of another replica takes milliseconds.
    Short,
    /// Longer: queueing for the lock has failed.
    Long,
}

fn decisions<R: Request>(messages: &[Message<R>], now: Instant) -> Vec<Decision> {
    let mut held = HeldKeys::default();
    messages.iter().map(|message| held.decision(message, now)).collect()
}

/// The index of the message that has been due for longest.
fn first_alone<R: Request>(messages: &[Message<R>], decisions: &[Decision]) -> Option<usize> {
    let alone = messages.iter().zip(decisions).enumerate();
    let alone = alone.filter(|(_, (_, decision))| **decision == Decision::RunsAlone);
    let (at, _) = alone.min_by_key(|(_, (message, _))| message.retry.map(|retry| retry.at))?;
    Some(at)
}

/// The conflict keys of messages that are set aside, or stay behind one.
#[derive(Default)]
struct HeldKeys<'a>(HashMap<ConflictKey<'a>, Hold>);

impl<'a> HeldKeys<'a> {
    fn decision<R: Request>(&mut self, message: &'a Message<R>, now: Instant) -> Decision {
        // No caller waits for this message. It is dropped when it is claimed, takes up no more room, and holds back no
        // other.
        if message.is_over(now) {
            return Decision::Runs;
        }
        if let Some(hold) = self.behind(message) {
            return Decision::Behind(hold);
        }
        let Some(retry) = message.retry else { return Decision::Runs };
        self.hold(message, if retry.queues() { Hold::Short } else { Hold::Long });
        match retry {
            _ if retry.at > now => Decision::Pauses,
            _ if retry.alone => Decision::RunsAlone,
            _ => Decision::Runs,
        }
    }

    fn hold<R: Request>(&mut self, message: &'a Message<R>, hold: Hold) {
        self.0.extend(message.request.conflict_keys().into_iter().flatten().map(|thing| (thing, hold)));
    }

    /// How long a message must stay because it shares a held key. Then its own keys are held too, so that no other
    /// message overtakes it.
    fn behind<R: Request>(&mut self, message: &'a Message<R>) -> Option<Hold> {
        let hold =
            message.request.conflict_keys().iter().flatten().filter_map(|thing| self.0.get(thing)).max().copied()?;
        self.hold(message, hold);
        Some(hold)
    }
}

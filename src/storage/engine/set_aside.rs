//! Messages that need what somebody else holds are set aside, and with them all that touch the same.
//!
//! The messages that an actor has are in one order: of two that touch the same thing, the earlier one comes first. Those
//! that are set aside have a [`Retry`](super::retry::Retry). Whoever touches what one of them touches stays behind it, until
//! it has been executed or given up.

use std::collections::HashMap;
use std::time::Instant;

use super::lane::{Message, Request};
use super::touched::Touched;

/// The messages of an actor, by what becomes of them now.
pub(super) struct Due<R: Request> {
    /// Those that run now.
    pub(super) batch: Vec<Message<R>>,
    /// One that runs now, by itself.
    pub(super) alone: Option<Message<R>>,
    pub(super) staying: Vec<Message<R>>,
}

/// Tells those that run now from those that stay.
///
/// Only one of those that run alone is taken: each may cost others a short wait.
pub(super) fn take_due<R: Request>(messages: Vec<Message<R>>, now: Instant) -> Due<R> {
    let mut due = Due { batch: Vec::new(), alone: None, staying: Vec::new() };
    if is_nobody_set_aside(&messages) {
        due.batch = messages;
        return due;
    }
    let verdicts = verdicts(&messages, now);
    let alone = first_alone(&messages, &verdicts);
    for (place, (message, verdict)) in messages.into_iter().zip(verdicts).enumerate() {
        match verdict {
            Verdict::Runs => due.batch.push(message),
            Verdict::RunsAlone if alone == Some(place) => due.alone = Some(message),
            Verdict::RunsAlone | Verdict::Pauses | Verdict::Behind(_) => {
                if verdict == Verdict::Behind(Hold::Long) {
                    message.reply.set_aside();
                }
                due.staying.push(message);
            }
        }
    }
    due
}

/// When the next of them runs, if nothing else happens before.
pub(super) fn next_due<R: Request>(messages: &[Message<R>], now: Instant) -> Option<Instant> {
    if is_nobody_set_aside(messages) {
        return (!messages.is_empty()).then_some(now);
    }
    let due = |(message, verdict): (&Message<R>, Verdict)| match verdict {
        Verdict::Runs | Verdict::RunsAlone => Some(now),
        Verdict::Pauses => message.retry.map(|retry| retry.at),
        Verdict::Behind(_) => None,
    };
    messages.iter().zip(verdicts(messages, now)).filter_map(due).min()
}

/// Tells those of `later` that touch what one of `earlier` touches, or one of theirs: they stay behind it.
pub(super) fn part_behind<R: Request>(
    earlier: &[Message<R>],
    later: Vec<Message<R>>,
) -> (Vec<Message<R>>, Vec<Message<R>>) {
    let mut held = Held::default();
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

fn is_nobody_set_aside<R: Request>(messages: &[Message<R>]) -> bool {
    messages.iter().all(|message| message.retry.is_none())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Runs,
    RunsAlone,
    /// Until its next try.
    Pauses,
    /// Behind one that is set aside.
    Behind(Hold),
}

/// For how long something is held, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// Until its holder is at the head of the lock's queue: another replica's batch takes milliseconds.
    Short,
    /// To queue was in vain.
    Long,
}

fn verdicts<R: Request>(messages: &[Message<R>], now: Instant) -> Vec<Verdict> {
    let mut held = Held::default();
    messages.iter().map(|message| held.verdict(message, now)).collect()
}

/// The place of the one that has been due for longest.
fn first_alone<R: Request>(messages: &[Message<R>], verdicts: &[Verdict]) -> Option<usize> {
    let alone = messages.iter().zip(verdicts).enumerate();
    let alone = alone.filter(|(_, (_, verdict))| **verdict == Verdict::RunsAlone);
    let (place, _) = alone.min_by_key(|(_, (message, _))| message.retry.map(|retry| retry.at))?;
    Some(place)
}

/// What those touch that are set aside, or behind one that is.
#[derive(Default)]
struct Held<'a>(HashMap<Touched<'a>, Hold>);

impl<'a> Held<'a> {
    fn verdict<R: Request>(&mut self, message: &'a Message<R>, now: Instant) -> Verdict {
        // Nobody waits for it, so it is dropped: it takes a place no longer, and holds nobody back.
        if message.is_over(now) {
            return Verdict::Runs;
        }
        if let Some(hold) = self.behind(message) {
            return Verdict::Behind(hold);
        }
        let Some(retry) = message.retry else { return Verdict::Runs };
        self.hold(message, if retry.queues() { Hold::Short } else { Hold::Long });
        match retry {
            _ if retry.at > now => Verdict::Pauses,
            _ if retry.alone => Verdict::RunsAlone,
            _ => Verdict::Runs,
        }
    }

    fn hold<R: Request>(&mut self, message: &'a Message<R>, hold: Hold) {
        self.0.extend(message.request.touches().into_iter().flatten().map(|thing| (thing, hold)));
    }

    /// If it touches what is held, for how long that is; then nobody may overtake it either.
    fn behind<R: Request>(&mut self, message: &'a Message<R>) -> Option<Hold> {
        let hold = message.request.touches().iter().flatten().filter_map(|thing| self.0.get(thing)).max().copied()?;
        self.hold(message, hold);
        Some(hold)
    }
}

#[cfg(test)]
mod tests;

use std::time::Duration;

use fastrand::Rng;
use user_service_checker::{Operation, Outcome};

use crate::outcome::Answer;

/// How often a write is sent again whose outcome is not known.
pub const ATTEMPTS: usize = 8;

/// The idempotency key of half of the writes.
pub fn key(operation: &Operation, rng: &mut Rng) -> Option<String> {
    let is_write = matches!(
        operation,
        Operation::Create { .. } | Operation::Put { .. } | Operation::Patch { .. } | Operation::Delete { .. }
    );
    (is_write && rng.bool()).then(|| format!("{:032x}", rng.u128(..)))
}

/// The pause before a write is sent again.
pub fn pause(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(1..100))
}

/// Whether an answer leaves open what became of a write.
pub fn is_open(answer: &Answer) -> bool {
    matches!(answer, Answer::Lost | Answer::Known(Outcome::Unknown))
}

/// Whether a write was executed.
pub fn is_done(answer: &Answer) -> bool {
    matches!(answer, Answer::Known(Outcome::User(_) | Outcome::Done))
}

/// What became of a write of which an earlier attempt had no answer. A refusal says nothing about that attempt, which may
/// still be on its way.
pub fn after_open(answer: Answer) -> Answer {
    if is_done(&answer) || matches!(answer, Answer::Impossible(_)) { answer } else { Answer::Lost }
}

/// What is wrong with the answer to a repetition, if anything is. None may have come, and the service may be unable to look.
pub fn contradiction(first: &Answer, again: &Answer) -> Option<String> {
    let says_nothing =
        matches!(again, Answer::Lost | Answer::Unsent | Answer::Known(Outcome::Unknown | Outcome::Refused));
    (!says_nothing && format!("{first:?}") != format!("{again:?}"))
        .then(|| format!("a write was answered {first:?}, and its repetition {again:?}"))
}

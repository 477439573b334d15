use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::domain::{Error, Position};
use crate::storage::{Checkpoint, DeliveryOutcome, EventLog};

/// How often progress is saved while there is any.
const SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// How often the leader writes a heartbeat if there is no progress. Saving progress is a heartbeat too.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The progress that is not saved yet: how far events have been sent, and the delivery outcomes of refused events and
/// of those behind them.
pub(super) struct Progress<'a> {
    me: Uuid,
    log: &'a EventLog,
    outcomes: Vec<DeliveryOutcome>,
    sent_to: Position,
    saved: Instant,
}

impl<'a> Progress<'a> {
    /// Starts from saved progress: all events up to `sent_to` have been sent.
    pub(super) fn new(me: Uuid, log: &'a EventLog, sent_to: Position) -> Self {
        Self { me, log, outcomes: Vec::new(), sent_to, saved: Instant::now() }
    }

    pub(super) fn note(&mut self, outcomes: impl IntoIterator<Item = DeliveryOutcome>) {
        self.outcomes.extend(outcomes);
    }

    /// The number of outcomes to be saved.
    pub(super) fn outcomes(&self) -> usize {
        self.outcomes.len()
    }

    /// When to save that all events up to `sent_to` have been sent.
    pub(super) fn due(&self, sent_to: Position) -> Instant {
        let has_progress = !self.outcomes.is_empty() || sent_to > self.sent_to;
        self.saved + if has_progress { SAVE_INTERVAL } else { HEARTBEAT }
    }

    /// Saves the progress. `seen` is the last event read from the log. False when another replica leads or the log was
    /// replaced.
    ///
    /// # Errors
    /// When the database fails. Then the progress remains to be saved.
    pub(super) async fn save(&mut self, sent_to: Position, seen: Checkpoint) -> Result<bool, Error> {
        self.saved = Instant::now();
        let leads = self.log.advance(self.me, (self.sent_to, sent_to), seen, self.outcomes.clone()).await?;
        if leads {
            self.outcomes.clear();
            self.sent_to = sent_to;
        }
        Ok(leads)
    }
}

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::domain::{Error, Position};
use crate::storage::{Checkpoint, Delivery, EventLog};

/// How often it is written down how far events are sent, if they are.
const OFTEN: Duration = Duration::from_millis(100);
/// How often the leader shows that it lives, if it has nothing else to write down.
const BEAT: Duration = Duration::from_secs(1);

/// How far events are sent, and what has become of those that are held: as much of it as is not written down yet.
pub(super) struct Progress<'a> {
    me: Uuid,
    log: &'a EventLog,
    fates: Vec<Delivery>,
    sent_to: Position,
    written: Instant,
}

impl<'a> Progress<'a> {
    /// All events up to there are sent, and that is written down.
    pub(super) fn new(me: Uuid, log: &'a EventLog, sent_to: Position) -> Self {
        Self { me, log, fates: Vec::new(), sent_to, written: Instant::now() }
    }

    pub(super) fn note(&mut self, fates: impl IntoIterator<Item = Delivery>) {
        self.fates.extend(fates);
    }

    /// How much there is to write down of those that are held.
    pub(super) fn fates(&self) -> usize {
        self.fates.len()
    }

    /// When it is to be written down that all events up to there are sent.
    pub(super) fn due(&self, sent_to: Position) -> Instant {
        let has_news = !self.fates.is_empty() || sent_to > self.sent_to;
        self.written + if has_news { OFTEN } else { BEAT }
    }

    /// Writes it down; of the log, this was seen last. False when another replica leads, or the log is another one.
    ///
    /// # Errors
    /// When the database does not do it: then it stays to be written down.
    pub(super) async fn write(&mut self, sent_to: Position, seen: Checkpoint) -> Result<bool, Error> {
        self.written = Instant::now();
        let leads = self.log.advance(self.me, (self.sent_to, sent_to), seen, self.fates.clone()).await?;
        if leads {
            self.fates.clear();
            self.sent_to = sent_to;
        }
        Ok(leads)
    }
}

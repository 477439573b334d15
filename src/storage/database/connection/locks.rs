//! How long a write waits for locks of other transactions.

use std::cell::Cell;
use std::time::Duration;

/// The longest wait for a lock within `deadline`: a quarter of it, which leaves time to report the lock, and to run the
/// rest of the batch without the message that waits.
pub(crate) fn lock_timeout(deadline: Duration) -> Duration {
    (deadline / 4).max(Duration::from_millis(1))
}

/// How one statement treats locks of other transactions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockPolicy {
    /// Whether the statement skips locked users; otherwise it waits for them.
    pub(crate) skips_users: bool,
    /// How long the statement waits for a user or an address. Only the end of the inserting transaction tells whether
    /// an address is free.
    pub(crate) timeout: Duration,
    /// How long the statement waits for the lock of a whole table, which it takes before it begins.
    table_timeout: Duration,
}

impl LockPolicy {
    /// Whether a statement that failed with this message, after this time, waited too long for a user or an address.
    ///
    /// Diesel hides the SQLSTATE, and the message may be in another language. Then the time decides. A false positive
    /// does no harm: the messages are retried until their deadlines.
    pub(crate) fn timed_out(&self, message: &str, took: Duration) -> bool {
        let is_lock_timeout = message.contains("lock timeout") || (!message.is_ascii() && took >= self.timeout);
        is_lock_timeout && took < self.table_timeout
    }
}

/// The lock timeouts for the statements of one actor.
pub(crate) struct LockTimeouts {
    table_timeout: Duration,
    /// How long a batch queues for users that another replica is changing.
    queue_timeout: Cell<Duration>,
    /// Whether the last statement waited for the lock of a table until its timeout. The next one may do so too.
    is_table_locked: Cell<bool>,
}

impl LockTimeouts {
    /// Longer than a batch of another replica takes. While one write waits, all others of its batch wait too.
    pub(crate) const LONGEST: Duration = Duration::from_millis(50);

    /// `table_timeout` is how long a statement may wait for the lock of a table.
    pub(crate) const fn new(table_timeout: Duration) -> Self {
        Self { table_timeout, queue_timeout: Cell::new(Self::LONGEST), is_table_locked: Cell::new(false) }
    }

    /// For a batch that proceeds without locked users.
    pub(crate) fn skip(&self) -> LockPolicy {
        LockPolicy { skips_users: true, timeout: self.longest(), table_timeout: self.table_timeout }
    }

    /// For messages that are retried: they find out whether the lock is free, and do not wait for it.
    pub(crate) fn probe(&self) -> LockPolicy {
        LockPolicy { timeout: self.shortest(), ..self.skip() }
    }

    /// For a batch that queues for its users: PostgreSQL grants a lock in the order of arrival. By skipping alone, the
    /// replica that has just changed a user would find it free more often than any other.
    pub(crate) fn queue(&self) -> LockPolicy {
        let timeout = self.queue_timeout.get().clamp(self.shortest(), self.longest());
        LockPolicy { skips_users: false, timeout, table_timeout: self.table_timeout }
    }

    /// Adapts the timeout after a batch has queued. If it did not get its locks, another transaction holds a lock for
    /// long, and the next batch would probably fail too.
    pub(crate) fn record_queueing(&self, succeeded: bool) {
        let waited = self.queue().timeout;
        self.queue_timeout.set(if succeeded { waited * 2 } else { waited / 4 });
    }

    /// Records how a statement ended, and how long it took.
    pub(crate) fn record_statement(&self, succeeded: bool, took: Duration) {
        self.is_table_locked.set(!succeeded && took >= self.table_timeout);
    }

    pub(crate) fn is_table_locked(&self) -> bool {
        self.is_table_locked.get()
    }

    fn longest(&self) -> Duration {
        (self.table_timeout / 10).clamp(Duration::from_millis(1), Self::LONGEST)
    }

    fn shortest(&self) -> Duration {
        (self.longest() / 10).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn only_its_own_lock_timeout_counts() {
        let locks = LockTimeouts::new(ms(500)).skip();
        let timeout = "canceling statement due to lock timeout";
        assert!(locks.timed_out(timeout, ms(50)) && locks.timed_out(timeout, ms(499)));
        assert!(!locks.timed_out(timeout, ms(500)), "the whole table was locked");
        assert!(!locks.timed_out("canceling statement due to statement timeout", ms(50)));
        let german = "storniere Anfrage wegen Zeitüberschreitung einer Sperre";
        assert!(locks.timed_out(german, ms(50)) && !locks.timed_out(german, ms(49)));
    }

    #[test]
    fn every_timeout_is_positive_and_at_most_the_tables() {
        // To PostgreSQL, 0 means no timeout.
        for table_timeout in [ms(1), ms(25), ms(500), Duration::from_mins(1)] {
            let waits = LockTimeouts::new(table_timeout);
            for locks in [waits.skip(), waits.probe(), waits.queue()] {
                assert!((ms(1)..=ms(50)).contains(&locks.timeout) && locks.timeout <= table_timeout, "{locks:?}");
            }
        }
    }

    #[test]
    fn queueing_without_success_shortens_the_timeout() {
        let waits = LockTimeouts::new(ms(500));
        assert_eq!(waits.queue().timeout, ms(50));
        (0..5).for_each(|_| waits.record_queueing(false));
        assert_eq!(waits.queue().timeout, ms(5));
        (0..9).for_each(|_| waits.record_queueing(true));
        assert_eq!(waits.queue().timeout, ms(50));
    }
}

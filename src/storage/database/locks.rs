//! How long a write waits for what somebody else's transaction holds.

use std::cell::Cell;
use std::time::Duration;

/// How one statement deals with locks that others hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Locks {
    /// Whether it leaves out the users that are locked; otherwise it waits for them.
    pub(crate) skips_users: bool,
    /// How long it waits, for a user or for an address: whether one is free, only the end of the transaction tells that has
    /// inserted it.
    pub(crate) timeout: Duration,
    /// How long it waits for a lock of a whole table, which it takes before it begins.
    table_timeout: Duration,
}

impl Locks {
    /// Whether a statement that failed with these words, after this time, had waited too long for a user or an address.
    ///
    /// Diesel keeps PostgreSQL's code of an error to itself, and its words may be in another language: then the time has to
    /// do. To take another failure for this one is no harm but that its messages are tried again until their deadlines.
    pub(crate) fn timed_out(&self, words: &str, took: Duration) -> bool {
        let said = words.contains("lock timeout") || (!words.is_ascii() && took >= self.timeout);
        said && took < self.table_timeout
    }
}

/// What the statements of one actor wait.
pub(crate) struct LockWaits {
    table_timeout: Duration,
    /// How long it pays to wait for users that another replica changes in the same moment.
    worthwhile: Cell<Duration>,
    /// Whether the last statement waited for the lock of a table until its timeout: then the next one may, too.
    is_table_locked: Cell<bool>,
}

impl LockWaits {
    /// A batch of another replica takes milliseconds, and all of its writes wait with the one that waits.
    pub(crate) const LONGEST: Duration = Duration::from_millis(50);

    /// Where no statement waits longer than that for the lock of a table.
    pub(crate) const fn new(table_timeout: Duration) -> Self {
        Self { table_timeout, worthwhile: Cell::new(Self::LONGEST), is_table_locked: Cell::new(false) }
    }

    /// A batch goes on without the users that are locked.
    pub(crate) fn skipping(&self) -> Locks {
        Locks { skips_users: true, timeout: self.longest(), table_timeout: self.table_timeout }
    }

    /// What is tried again finds out whether it is free, and does not wait for it.
    pub(crate) fn trying(&self) -> Locks {
        Locks { timeout: self.shortest(), ..self.skipping() }
    }

    /// A batch waits for its users in the queue of the lock, where those come first who came first. By skipping alone, the
    /// replica that has just changed a user would find it free more often than any other.
    pub(crate) fn queueing(&self) -> Locks {
        let timeout = self.worthwhile.get().clamp(self.shortest(), self.longest());
        Locks { skips_users: false, timeout, table_timeout: self.table_timeout }
    }

    /// To queue was worthwhile, or it was not: then somebody keeps a lock for long, and it will hardly be the last one.
    pub(crate) fn queued(&self, got_it: bool) {
        let waited = self.queueing().timeout;
        self.worthwhile.set(if got_it { waited * 2 } else { waited / 4 });
    }

    /// A statement ended after this time.
    pub(crate) fn ended(&self, is_executed: bool, took: Duration) {
        self.is_table_locked.set(!is_executed && took >= self.table_timeout);
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
    fn only_its_own_timeout_is_one() {
        let locks = LockWaits::new(ms(500)).skipping();
        let timeout = "canceling statement due to lock timeout";
        assert!(locks.timed_out(timeout, ms(50)) && locks.timed_out(timeout, ms(499)));
        assert!(!locks.timed_out(timeout, ms(500)), "the whole table was locked");
        assert!(!locks.timed_out("canceling statement due to statement timeout", ms(50)));
        let german = "storniere Anfrage wegen Zeitüberschreitung einer Sperre";
        assert!(locks.timed_out(german, ms(50)) && !locks.timed_out(german, ms(49)));
    }

    #[test]
    fn no_wait_is_longer_than_a_tables_nor_none_at_all() {
        // To PostgreSQL, 0 means for ever.
        for table_timeout in [ms(1), ms(25), ms(500), Duration::from_mins(1)] {
            let waits = LockWaits::new(table_timeout);
            for locks in [waits.skipping(), waits.trying(), waits.queueing()] {
                assert!((ms(1)..=ms(50)).contains(&locks.timeout) && locks.timeout <= table_timeout, "{locks:?}");
            }
        }
    }

    #[test]
    fn what_was_in_vain_is_done_for_less_time() {
        let waits = LockWaits::new(ms(500));
        assert_eq!(waits.queueing().timeout, ms(50));
        (0..5).for_each(|_| waits.queued(false));
        assert_eq!(waits.queueing().timeout, ms(5));
        (0..9).for_each(|_| waits.queued(true));
        assert_eq!(waits.queueing().timeout, ms(50));
    }
}

//! The pace of a lane, which its actors update while callers read it.

use std::sync::Arc;
use std::thread;
use std::time::{self, Duration, Instant};

use super::pace::Pace;
use crate::check;

/// A caller that finds all actors busy knows when their batches began. With an older time the running batch would seem
/// to take for ever, and the lane would refuse what it can serve soon.
pub fn a_new_batch_is_not_taken_for_a_slow_one() {
    check(|| {
        let pace = Arc::new(Pace::new(1, 10));
        let actors = Arc::clone(&pace);
        time::set(Duration::from_hours(1));
        let actor = thread::spawn(move || {
            drop(actors.begin());
            drop(actors.begin());
        });
        assert_eq!(pace.expected_wait(1, Instant::now()), Duration::ZERO);
        actor.join().unwrap();
    });
}

//! Models of `src/net/`.

#[path = "../../src/net/draining.rs"]
#[allow(dead_code, unreachable_pub, reason = "the file is included as it is")]
mod draining;

use std::thread;

use crate::check;
use crate::tasks::run;
use draining::Draining;

/// Whoever waits for the shutdown learns of it, whenever it begins.
pub fn a_shutdown_ends_every_wait() {
    check(|| {
        let draining = Draining::default();
        let waits = draining.clone();
        let waiting = thread::spawn(move || run(waits.has_begun()));
        draining.begin();
        waiting.join().unwrap();
        assert!(draining.is_draining());
    });
}

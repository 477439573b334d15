use real_std::cell::Cell;
use real_std::sync::{Arc, Weak as RealWeak};
use real_std::thread_local;

thread_local! {
    // loom runs all threads of a model on one thread of the system, and each test has its own.
    static UPGRADES: Cell<usize> = const { Cell::new(0) };
}

/// In place of the real one: it can be upgraded as often as a model says. A thread that looks after something for as
/// long as that is there ends, after each number of looks that a model needs.
pub struct Weak;

impl Weak {
    #[must_use]
    pub fn upgrade<T>(weak: &RealWeak<T>) -> Option<Arc<T>> {
        let left = UPGRADES.get().checked_sub(1)?;
        UPGRADES.set(left);
        weak.upgrade()
    }

    pub(crate) fn bound_upgrades(count: usize) {
        UPGRADES.set(count);
    }
}

use real_std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{self, Duration};

/// Runs a model in every order that its threads can take. It must not depend on anything else.
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        thread::reset();
        time::set(Duration::ZERO);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} orders");
    assert!(runs > 1, "the threads of this model share nothing");
}

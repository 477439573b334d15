use std::sync::LazyLock;
use std::time::Instant;

static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds by the one monotonic clock of all clients and readers.
pub fn now() -> u64 {
    u64::try_from(BEGINNING.elapsed().as_nanos()).expect("a run of less than 584 years")
}

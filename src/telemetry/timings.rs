//! Where the time of a request went: the response header `Server-Timing` (W3C), for requests that ask for it.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::Duration;

tokio::task_local! {
    static CURRENT: Cell<Timings>;
}

/// The steps of the current request that are known by now.
#[derive(Clone, Copy, Default)]
struct Timings {
    ran: Option<Ran>,
    /// Whether all look-ups were answered from memory. `None` without a look-up, or without a cache.
    is_hit: Option<bool>,
}

/// How a message to the database was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How long it waited for its actor.
    pub queue: Duration,
    /// How many messages were executed together.
    pub batch: usize,
    /// How long their transaction took.
    pub database: Duration,
}

/// Whether a request asks, by its header `Server-Timing`. W3C has that header for responses only.
#[must_use]
pub fn asks_for_timing(header: Option<&[u8]>) -> bool {
    header.is_some_and(|value| value.eq_ignore_ascii_case(b"request"))
}

/// Collects the timings of a future, which asks for them.
pub fn collect_timings<F: Future>(future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(Cell::default(), future)
}

/// Takes note of a message that was executed. Of several, which may run side by side, the longest counts. Does nothing if
/// the current request does not ask.
pub fn note_ran(ran: Ran) {
    note(|timings| {
        let before = timings.ran.unwrap_or(Ran { queue: Duration::ZERO, batch: 0, database: Duration::ZERO });
        timings.ran = Some(Ran {
            queue: before.queue.max(ran.queue),
            batch: before.batch.max(ran.batch),
            database: before.database.max(ran.database),
        });
    });
}

/// Takes note of a look-up, by whether it was answered from memory. Does nothing if the current request does not ask.
pub fn note_look_up(is_hit: bool) {
    note(|timings| timings.is_hit = Some(timings.is_hit.unwrap_or(true) && is_hit));
}

fn note(change: impl FnOnce(&mut Timings)) {
    // Without a scope, the request has not asked.
    let _ = CURRENT.try_with(|current| {
        let mut timings = current.get();
        change(&mut timings);
        current.set(timings);
    });
}

/// The value of `Server-Timing` for a request that has taken `total` so far. `None` if it does not ask.
#[must_use]
pub fn server_timing(total: Duration) -> Option<String> {
    CURRENT.try_with(|current| current.get().header(total)).ok()
}

impl Timings {
    fn header(self, total: Duration) -> String {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let mut text = format!("total;dur={:.3}", millis(total));
        if let Some(Ran { queue, batch, database }) = self.ran {
            let (queue, database) = (millis(queue), millis(database));
            let _ = write!(text, ", queue;dur={queue:.3}, batch;desc=\"{batch}\", db;dur={database:.3}");
        }
        if let Some(is_hit) = self.is_hit {
            text.push_str(if is_hit { ", cache;desc=hit" } else { ", cache;desc=miss" });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAN: Ran = Ran { queue: Duration::from_micros(100), batch: 28, database: Duration::from_micros(400) };

    #[tokio::test]
    async fn a_request_that_asks_is_shown_its_steps() {
        let total = Duration::from_micros(1_234);
        let text = collect_timings(async {
            note_ran(RAN);
            note_look_up(true);
            server_timing(total)
        });
        let shown = "total;dur=1.234, queue;dur=0.100, batch;desc=\"28\", db;dur=0.400, cache;desc=hit";
        assert_eq!(text.await.as_deref(), Some(shown));
        let several = collect_timings(async {
            note_ran(RAN);
            note_ran(Ran { batch: 3, ..RAN });
            note_look_up(false);
            note_look_up(true);
            server_timing(total)
        });
        let shown = "total;dur=1.234, queue;dur=0.100, batch;desc=\"28\", db;dur=0.400, cache;desc=miss";
        assert_eq!(several.await.as_deref(), Some(shown));
        assert_eq!(collect_timings(async { server_timing(total) }).await.as_deref(), Some("total;dur=1.234"));
    }

    #[tokio::test]
    async fn a_request_that_does_not_ask_is_shown_nothing() {
        note_ran(RAN);
        note_look_up(true);
        assert_eq!(server_timing(Duration::ZERO), None);
    }
}

//! The keeper: the thread that connects to the database, migrates it, and then watches it.
//!
//! It checks the database once a second, and five times a second while the database is unreachable. A ping would say
//! that a server answers, not that it is the right one. So the keeper checks what requests need, in one round trip:
//! that a transaction may write, the encoding, and whether the tables are unchanged. It inspects the tables again only
//! when they have changed. While something is missing it reconnects for each check, because another server may be
//! behind the same address by now. Meanwhile lanes refuse at once what cannot succeed.
//!
//! `/ready` reports the last check and never waits for the database itself. After three seconds without a check the
//! database counts as unreachable. The keeper logs a problem once, not at every attempt.
//!
//! The keeper also computes the keys of users written by an earlier release (`missing_keys`), looks how far the indexes of
//! attributes are, and on SQLite makes them. On PostgreSQL it finds out up to where the log of events is whole, for the user
//! cache (`log_watch`), and keeps the number of users up to date (`count_watch`).

mod count_watch;
mod final_place;
mod inspection;
mod inspector;
mod log_watch;
mod missing_keys;
mod problem;
pub(crate) mod readiness;
pub(crate) mod state;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::attribute_indexes::AttributeIndexes;
use super::pool::Pool;
use super::user_count::Wanted;
use super::workers::{Worker, Workers};
use crate::metrics::HungCalls;
use inspector::Inspector;
use problem::Problem;
use state::Keeper;

/// How often the keeper checks a database that is ready.
const INTERVAL: Duration = Duration::from_secs(1);

/// Ends the keeper's thread when it is dropped or stopped. Does not wait for the thread, which may itself be waiting
/// for the database.
pub(crate) struct Handle {
    stop: Sender<()>,
}

impl Handle {
    pub(crate) fn stop(self) {
        drop(self.stop);
    }
}

/// What the keeper sees to.
#[derive(Clone)]
pub(crate) struct Duties {
    /// Where it says what it finds.
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) indexes: AttributeIndexes,
    /// Whether it keeps the number of users up to date.
    pub(crate) counts: Wanted,
    pub(crate) auto_migrate: bool,
    /// Whether it makes the indexes of attributes, on SQLite.
    pub(crate) builds_indexes: bool,
}

/// Starts the keeper's thread.
pub(crate) fn spawn(duties: Duties, pool: Pool, hung_calls: HungCalls) -> std::io::Result<Handle> {
    let (stop, stopped) = bounded(0);
    let work = move |worker: &Worker| {
        let keeper = &duties.keeper;
        let mut inspector = Inspector::new(&duties, pool.clone(), Arc::clone(worker.on_hang()));
        loop {
            let result = inspector.check();
            // The thread that replaced this one knows better by now.
            if worker.is_abandoned() {
                return;
            }
            let pause = result.as_ref().map_or_else(Problem::pause, |()| INTERVAL);
            keeper.record(&result);
            keeper.log_change(result);
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    };
    Workers::start(1, hung_calls, work)?;
    Ok(Handle { stop })
}

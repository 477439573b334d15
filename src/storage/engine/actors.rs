//! Opens the lanes, and owns the threads that serve them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::actor::Actor;
use super::executor::Executor;
use super::failure_log::FailureLog;
use super::lane::Lane;
use super::message::MailboxItem;
use super::pace::Pace;
use super::request::Request;
use crate::domain::Error;
use crate::metrics::Metrics;
use crate::storage::database::connection::locks::{LockTimeouts, lock_timeout};
use crate::storage::database::keeper::state::Keeper;
use crate::storage::database::pool::Pool;
use crate::storage::database::settings::Settings;
use crate::storage::database::workers::{Worker, Workers};

/// What all lanes share.
pub(crate) struct Common<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) pool: &'a Pool,
    pub(crate) keeper: &'a Arc<Keeper>,
    pub(crate) metrics: &'a Metrics,
}

/// The threads of all lanes.
#[derive(Default)]
pub(crate) struct Actors {
    lanes: Vec<Workers>,
    stops: Vec<Box<dyn FnOnce(Instant) + Send>>,
    /// Refuse what is left in the mailboxes.
    refusals: Vec<Box<dyn FnOnce() + Send>>,
}

impl Actors {
    /// Opens a lane with so many actors.
    pub(crate) fn open_lane<R: Request>(
        &mut self,
        name: &'static str,
        actors: usize,
        Common { settings, pool, keeper, metrics }: &Common<'_>,
    ) -> std::io::Result<Lane<R>> {
        let (mailbox, receiver): (Sender<MailboxItem<R>>, Receiver<MailboxItem<R>>) = bounded(settings.mailbox);
        let max_batch = settings.max_batch.min(R::MAX_BATCH);
        let pace = Arc::new(Pace::new(actors, max_batch));
        let lane_metrics = metrics.lane(name, actors, settings.mailbox);
        watch(metrics, name, &mailbox, &pace);
        let failures = FailureLog::default();
        let actor = {
            let (pool, pace, metrics, receiver) =
                (Pool::clone(pool), Arc::clone(&pace), lane_metrics.clone(), receiver.clone());
            // One batch of the configured size, also where a message is a batch by itself.
            let max_waiting = settings.max_batch;
            let (system, table_timeout) = (settings.url.system(), lock_timeout(settings.deadline));
            move |worker: &Worker| {
                let executor = Executor {
                    pool: pool.clone(),
                    metrics: metrics.clone(),
                    failures: failures.clone(),
                    locks: LockTimeouts::new(table_timeout),
                    on_hang: Arc::clone(worker.on_hang()),
                    lane: name,
                    system,
                };
                Actor { executor, max_batch, max_waiting, pace: Arc::clone(&pace) }.run(&receiver, worker);
            }
        };
        let workers = Workers::start(actors, metrics.hung_calls(name), actor)?;
        self.lanes.push(workers.clone());
        for _ in 0..actors {
            let mailbox = mailbox.clone();
            self.stops.push(Box::new(move |until| {
                // The mailbox of a hung actor may be full. It must not delay the end of the process.
                let _ = mailbox.send_deadline(MailboxItem::Stop, until);
            }));
        }
        self.refusals.push(Box::new(move || refuse_all(&receiver)));
        let deadline = settings.deadline;
        let max_wait = settings.max_wait.min(deadline);
        let keeper = Arc::clone(keeper);
        Ok(Lane { mailbox, pace, workers, keeper, deadline, max_wait, metrics: lane_metrics })
    }

    /// Lets every actor finish its mailbox. Returns whether all did so within `timeout`. Blocks.
    pub(crate) fn stop(self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        for stop in self.stops {
            stop(until);
        }
        let finished = || self.lanes.iter().all(Workers::all_gone);
        while !finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let in_time = finished();
        for refuse in self.refusals {
            refuse();
        }
        in_time
    }
}

fn watch<R: Request>(metrics: &Metrics, lane: &str, mailbox: &Sender<MailboxItem<R>>, pace: &Arc<Pace>) {
    let (waiting, mailbox, pace) = (mailbox.clone(), mailbox.clone(), Arc::clone(pace));
    let expected_wait = move || pace.expected_wait(mailbox.len(), Instant::now());
    metrics.watch_lane(lane, move || waiting.len(), expected_wait);
}

/// Answers late messages now instead of at their deadlines.
fn refuse_all<R: Request>(mailbox: &Receiver<MailboxItem<R>>) {
    for item in mailbox.try_iter() {
        if let MailboxItem::Message(message) = item {
            message.reply.send((Err(Error::Unavailable), None));
        }
    }
}

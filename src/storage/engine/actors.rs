use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::actor::Actor;
use super::lane::{Lane, Mail, Request};
use super::pace::Pace;
use crate::domain::Error;
use crate::metrics::Metrics;
use crate::storage::database::connection::lock_patience;
use crate::storage::database::keeper::Keeper;
use crate::storage::database::locks::LockWaits;
use crate::storage::database::pool::Pool;
use crate::storage::database::settings::Settings;
use crate::storage::database::workers::{Worker, Workers};
use crate::telemetry::Throttle;

/// What all lanes are made of.
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
    /// Empty the mailboxes.
    refusals: Vec<Box<dyn FnOnce() + Send>>,
}

impl Actors {
    /// Opens a lane with that many actors.
    pub(crate) fn open_lane<R: Request>(
        &mut self,
        name: &'static str,
        actors: usize,
        Common { settings, pool, keeper, metrics }: &Common<'_>,
    ) -> std::io::Result<Lane<R>> {
        let (mailbox, mail): (Sender<Mail<R>>, Receiver<Mail<R>>) = bounded(settings.mailbox);
        let max_batch = settings.max_batch.min(R::MAX_BATCH);
        let pace = Arc::new(Pace::new(actors, max_batch));
        let lane_metrics = metrics.lane(name, actors, settings.mailbox);
        watch(metrics, name, &mailbox, &pace);
        let failures = Throttle::default();
        let actor = {
            let (pool, pace, metrics, mail) =
                (Pool::clone(pool), Arc::clone(&pace), lane_metrics.clone(), mail.clone());
            let (system, lock_patience) = (settings.url.system(), lock_patience(settings.deadline));
            move |worker: &Worker| {
                let actor = Actor {
                    pool: pool.clone(),
                    max_batch,
                    pace: Arc::clone(&pace),
                    metrics: metrics.clone(),
                    failures: failures.clone(),
                    locks: LockWaits::new(lock_patience),
                    on_hang: Arc::clone(worker.on_hang()),
                    lane: name,
                    system,
                };
                actor.run(&mail, worker);
            }
        };
        let workers = Workers::start(actors, metrics.hung_calls(name), actor)?;
        self.lanes.push(workers.clone());
        for _ in 0..actors {
            let mailbox = mailbox.clone();
            self.stops.push(Box::new(move |until| {
                // A full mailbox of an actor that hangs must not hold up the end of the process.
                let _ = mailbox.send_deadline(Mail::Stop, until);
            }));
        }
        self.refusals.push(Box::new(move || refuse_all(&mail)));
        let deadline = settings.deadline;
        let max_wait = settings.max_wait.min(deadline);
        let keeper = Arc::clone(keeper);
        Ok(Lane { mailbox, pace, workers, keeper, deadline, max_wait, metrics: lane_metrics })
    }

    /// Lets every actor finish its mailbox; false when one had not after `patience`. Blocks.
    pub(crate) fn stop(self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        for stop in self.stops {
            stop(until);
        }
        let finished = || self.lanes.iter().all(Workers::are_gone);
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

fn watch<R: Request>(metrics: &Metrics, lane: &str, mailbox: &Sender<Mail<R>>, pace: &Arc<Pace>) {
    let (waiting, mailbox, pace) = (mailbox.clone(), mailbox.clone(), Arc::clone(pace));
    let expected_wait = move || pace.expected_wait(mailbox.len(), Instant::now());
    metrics.watch_lane(lane, move || waiting.len(), expected_wait);
}

/// Whoever comes too late hears so now, not at the deadline.
fn refuse_all<R: Request>(mail: &Receiver<Mail<R>>) {
    for mail in mail.try_iter() {
        if let Mail::Message(message) = mail {
            message.reply.send(Err(Error::Unavailable));
        }
    }
}

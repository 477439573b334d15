use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Settings;
use super::actor::spawn;
use super::keeper::Keeper;
use super::lane::{Lane, Mail, Request};
use super::pace::Pace;
use super::pool::Pool;
use crate::users::Error;

/// The threads of all lanes.
#[derive(Default)]
pub(super) struct Actors {
    threads: Vec<JoinHandle<()>>,
    stops: Vec<Box<dyn FnOnce(Instant) + Send>>,
    /// Empty the mailboxes.
    refusals: Vec<Box<dyn FnOnce() + Send>>,
}

impl Actors {
    /// Opens a lane with that many actors.
    pub(super) fn open_lane<R: Request>(
        &mut self,
        name: &'static str,
        actors: usize,
        settings: &Settings,
        pool: &Pool,
        keeper: &Arc<Keeper>,
    ) -> std::io::Result<Lane<R>> {
        let (mailbox, mail): (Sender<Mail<R>>, Receiver<Mail<R>>) = bounded(settings.mailbox);
        let max_batch = settings.max_batch.min(R::MAX_BATCH);
        let pace = Arc::new(Pace::new(actors, max_batch));
        for _ in 0..actors {
            self.threads.push(spawn(name, mail.clone(), pool.clone(), max_batch, Arc::clone(&pace))?);
            let mailbox = mailbox.clone();
            self.stops.push(Box::new(move |until| {
                // A full mailbox of an actor that hangs must not hold up the end of the process.
                let _ = mailbox.send_deadline(Mail::Stop, until);
            }));
        }
        self.refusals.push(Box::new(move || refuse_all(&mail)));
        let deadline = settings.deadline;
        let max_wait = settings.max_wait.min(deadline);
        Ok(Lane { mailbox, pace, keeper: Arc::clone(keeper), deadline, max_wait })
    }

    /// Lets every actor finish its mailbox; false when one had not after `patience`. Blocks.
    pub(super) fn stop(self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        for stop in self.stops {
            stop(until);
        }
        let finished = || self.threads.iter().all(JoinHandle::is_finished);
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

/// Whoever comes too late hears so now, not at the deadline.
fn refuse_all<R: Request>(mail: &Receiver<Mail<R>>) {
    for mail in mail.try_iter() {
        if let Mail::Message(message) = mail {
            message.reply.send(Err(Error::Unavailable));
        }
    }
}

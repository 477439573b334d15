//! Readers of the live stream, and how long changes take to reach them. With the project's client, which reconnects.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};
use user_service_client::{Client, Notice, WatchUsers};

use super::Wanted;
use crate::engine::Start;
use crate::made_users;
use crate::record::{Clock, Failure, Live, Observed, Recorder, Recording};
use crate::scenario::{Kind, Names, Scenario};

/// Until all readers have their stream.
const CONNECT: Duration = Duration::from_mins(1);

/// Readers on a thread of their own.
pub(super) struct Readers {
    count: u64,
    phase: watch::Sender<Phase>,
    thread: JoinHandle<Recording>,
}

#[derive(Clone)]
enum Phase {
    Connecting,
    Reading {
        start: Start,
        window: Duration,
        live: Arc<Live>,
    },
    /// So many deliveries are to come, within this time.
    Ending {
        deliveries: u64,
        within: Duration,
    },
}

/// What the readers share.
struct Shared {
    names: Names,
    recorder: RefCell<Option<(Start, Recorder)>>,
    delivered: Cell<u64>,
}

impl Readers {
    pub(super) async fn connect(wanted: &Wanted, names: Names) -> Result<Self, String> {
        let count = wanted.arguments.connections;
        let (phase, phases) = watch::channel(Phase::Connecting);
        // Each says once how it went.
        let (ready, mut readies) = mpsc::channel(16);
        let (url, bearer) = (wanted.url.to_string(), wanted.bearer.clone());
        let thread = std::thread::Builder::new().name("readers".to_owned());
        let thread = thread.spawn(move || read(&url, &bearer, names, count, &ready, phases));
        let thread = thread.map_err(|error| format!("cannot start a thread: {error}"))?;
        let all = async {
            for _ in 0..count {
                readies.recv().await.unwrap_or_else(|| Err("a thread has ended".to_owned()))?;
            }
            Ok(())
        };
        let all = timeout(CONNECT, all).await.map_err(|_| format!("no {count} readers within 60 s"))?;
        all.map_err(|error: String| format!("a reader has no stream: {error}"))?;
        Ok(Self { count: count.into(), phase, thread })
    }

    pub(super) fn begin(&self, start: Start, window: Duration, live: &Arc<Live>) {
        let _ = self.phase.send(Phase::Reading { start, window, live: Arc::clone(live) });
    }

    /// Waits for the events of all updates that succeeded.
    pub(super) async fn finish(self, sent: &Recording, within: Duration) -> Result<Recording, String> {
        let updates = sent.operations.get(Kind::Update.name());
        let deliveries = updates.map_or(0, |updates| updates.requests - updates.failed) * self.count;
        let _ = self.phase.send(Phase::Ending { deliveries, within });
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await;
        joined.ok().and_then(Result::ok).ok_or_else(|| "the readers' thread panicked".to_owned())
    }
}

fn read(
    url: &str,
    bearer: &str,
    names: Names,
    count: u32,
    ready: &mpsc::Sender<Result<(), String>>,
    phases: watch::Receiver<Phase>,
) -> Recording {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Recording::default();
    };
    LocalSet::new().block_on(&runtime, async {
        match made_users::client(url, bearer) {
            Ok(client) => follow(&client, names, count, ready, phases).await,
            Err(error) => {
                let _ = ready.send(Err(error)).await;
                Recording::default()
            }
        }
    })
}

async fn follow(
    client: &Client,
    names: Names,
    count: u32,
    ready: &mpsc::Sender<Result<(), String>>,
    mut phases: watch::Receiver<Phase>,
) -> Recording {
    let shared = Rc::new(Shared { names, recorder: RefCell::new(None), delivered: Cell::new(0) });
    for _ in 0..count {
        tokio::task::spawn_local(follow_one(client.clone(), Rc::clone(&shared), ready.clone()));
    }
    while phases.changed().await.is_ok() {
        let phase = phases.borrow_and_update().clone();
        match phase {
            Phase::Connecting => {}
            Phase::Reading { start, window, live } => {
                let clock = Clock { zero: start.zero, window };
                let recorder = Recorder::new(clock, Scenario::Watch.measures(), live);
                *shared.recorder.borrow_mut() = Some((start, recorder));
            }
            Phase::Ending { deliveries, within } => return shared.finish(deliveries, within).await,
        }
    }
    Recording::default()
}

async fn follow_one(client: Client, shared: Rc<Shared>, ready: mpsc::Sender<Result<(), String>>) {
    let mut notices = client.watch_users(WatchUsers::new());
    let mut is_ready = false;
    while let Some(notice) = notices.next().await {
        let outcome = notice.as_ref().map(drop).map_err(ToString::to_string);
        if !std::mem::replace(&mut is_ready, true) {
            let _ = ready.send(outcome).await;
        }
        if let Ok(notice) = notice {
            shared.take(&notice);
        }
    }
}

impl Shared {
    /// The name of a user that this run has updated says when the update was due.
    fn take(&self, notice: &Notice) {
        let Some(user) = notice.event.as_ref().and_then(|event| event.user.as_ref()) else { return };
        let Some(since) = user.name.strip_prefix(&self.names.prefix()).and_then(|word| word.parse().ok()) else {
            return;
        };
        if let Some((start, recorder)) = self.recorder.borrow_mut().as_mut() {
            let due = start.first + Duration::from_nanos(since);
            if due >= start.zero {
                self.delivered.set(self.delivered.get() + 1);
            }
            recorder.record(delivery(due, None));
        }
    }

    /// Waits for what is to come; what has not come by then has failed.
    async fn finish(&self, deliveries: u64, within: Duration) -> Recording {
        let end = Instant::now() + within;
        while self.delivered.get() < deliveries && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
        let Some((_, mut recorder)) = self.recorder.borrow_mut().take() else { return Recording::default() };
        for _ in self.delivered.get()..deliveries {
            let example = format!("an update was answered, and a reader had no event of it within {within:?}");
            let due = Instant::now().checked_sub(within).unwrap_or_else(Instant::now);
            recorder.record(delivery(due, Some(Failure { example, is_refusal: false })));
        }
        recorder.finish()
    }
}

fn delivery(due: Instant, failure: Option<Failure>) -> Observed {
    let status = if failure.is_some() { "not delivered" } else { "event" };
    Observed { kind: Kind::Delivery, due, ended: Instant::now(), status: status.to_owned(), failure, sample: None }
}

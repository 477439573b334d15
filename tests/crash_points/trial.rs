use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use user_service_checker::{Event, Operation, Outcome};

use crate::client::{Clients, Record};
use crate::evidence::Evidence;
use crate::origin::{self, Origin};
use crate::point::{Fault, File, Phase, Point};
use crate::sse::{Inbox, follow_sse};
use crate::support::{Answered as _, Database, Db, Server, Strace, TOKEN, http, until};
use crate::workers::wait_for;
use crate::{aftermath, calls, power, workload};

/// How long the service may take to become ready, however often it has to begin anew.
const READY: Duration = Duration::from_secs(15);
/// How long clients look at a service that is not ready because of a fault that lasts.
const UNREADY: Duration = Duration::from_millis(700);
/// Longer than the first run of pruning is away, and takes.
const PRUNED: Duration = Duration::from_secs(8);
/// How often a trial begins anew whose fault has not struck.
const TRIES: usize = 3;
const POLL: Duration = Duration::from_millis(10);

/// What a trial came to.
pub struct Trial {
    pub point: Point,
    /// Whether the point was reached.
    pub is_struck: bool,
    pub complaints: Vec<String>,
}

/// Where a trial is made.
pub struct Bench {
    pub database: Database,
    pub strace: Strace,
    pub folder: TempDir,
}

/// What the first process has left besides its files.
pub struct Cut {
    pub is_struck: bool,
    pub log: String,
    /// What the live stream has told.
    pub told: Vec<Event>,
}

/// How a start has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Ready,
    Unready,
    Gone,
}

/// Tries a point, and keeps the evidence if it fails. Threads run side by side: another trial may reach the point that one has
/// missed.
pub fn repeat_until_struck(point: &Point, origin: &Origin, seed: u64) -> Trial {
    let mut trial = attempt(point, origin, seed);
    for _ in 1..TRIES {
        if trial.is_struck || !trial.complaints.is_empty() {
            break;
        }
        trial = attempt(point, origin, seed);
    }
    trial
}

fn attempt(point: &Point, origin: &Origin, seed: u64) -> Trial {
    let (bench, record) = (Bench::new(origin), Record::default());
    record.calls.borrow_mut().clone_from(&origin.calls);
    let mut evidence = Evidence::default();
    let work = AssertUnwindSafe(|| wait_for(try_point(point, origin, &bench, &record, seed, &mut evidence)));
    let is_struck = catch_unwind(work).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        record.object(format!("Panicked: {}", text.unwrap_or_default()));
        true
    });
    let complaints = record.objections.take();
    if !complaints.is_empty() {
        evidence.keep(point, seed, &bench, &record, &complaints);
    }
    Trial { point: point.clone(), is_struck, complaints }
}

/// Returns whether the fault has struck.
async fn try_point(
    point: &Point,
    origin: &Origin,
    bench: &Bench,
    record: &Record,
    seed: u64,
    evidence: &mut Evidence,
) -> bool {
    let cut = under_fault(point, origin, bench, record, seed).await;
    evidence.log.clone_from(&cut.log);
    if point.fault == Fault::PowerCut && cut.is_struck {
        until("strace has logged the last call", READY, async || bench.strace.text().contains(" = ?")).await;
        power::lose_unsynced(&bench.strace, &File::Wal.path(&bench.database.file()));
    }
    origin::copy(&bench.database.file(), &bench.left());
    aftermath::judge(origin, bench, record, &cut, evidence).await;
    cut.is_struck
}

/// Runs the service until the fault has struck and clients have seen what follows, and kills it.
async fn under_fault(point: &Point, origin: &Origin, bench: &Bench, record: &Record, seed: u64) -> Cut {
    let program = calls::cut(&bench.strace, origin.program(&bench.database), &bench.database.file(), point);
    let mut server = match Server::try_listening(program) {
        Ok(server) => server,
        Err(log) => {
            if !point.fault.kills() {
                record.object("Ended: the service ended instead of listening".to_owned());
            }
            return Cut { is_struck: true, log: log.join("\n"), told: Vec::new() };
        }
    };
    let strace = &bench.strace;
    let start = until_started(&mut server, point.fault, strace).await;
    if start == Start::Unready && !point.fault.is_lasting() {
        record.object(format!("NotReady: the service did not become ready within {READY:?}"));
    }
    let inbox = Inbox::default();
    let reader = tokio::spawn(read_stream(server.address().to_owned(), inbox.clone()));
    if start == Start::Ready && origin.phase == Phase::Pruning {
        until_pruned(&mut server, origin, Some(strace)).await;
    }
    if start != Start::Gone {
        let writer_struck = workload::run(&server, origin, record, Some((point.fault, strace)), seed).await;
        expect_no_acknowledgement(point, record, writer_struck);
    }
    if matches!(point.fault, Fault::Once(_)) && server.status().is_none() {
        serves_again(&server, record).await;
    }
    let status = server.status();
    if let Some(status) = status.filter(|status| !point.fault.kills() || status.signal() != Some(9)) {
        record.object(format!("Ended: the service ended by itself: {status}"));
    }
    server.kill();
    reader.abort();
    let is_struck = match point.fault {
        Fault::Kill | Fault::PowerCut => status.is_some(),
        Fault::Once(_) | Fault::Lasting(_) => strace.has_failed_a_call(),
    };
    Cut { is_struck, log: server.log(), told: inbox.take() }
}

async fn until_started(server: &mut Server, fault: Fault, strace: &Strace) -> Start {
    let (begun, mut failed) = (Instant::now(), None);
    loop {
        if server.status().is_some() {
            return Start::Gone;
        }
        if server.is_ready().await {
            return Start::Ready;
        }
        if fault.is_lasting() && strace.has_failed_a_call() {
            failed.get_or_insert_with(Instant::now);
        }
        if begun.elapsed() > READY || failed.is_some_and(|failed: Instant| failed.elapsed() > UNREADY) {
            return Start::Unready;
        }
        sleep(POLL).await;
    }
}

/// Waits until all of the origin's events are pruned; not if a fault keeps the service from that.
pub async fn until_pruned(server: &mut Server, origin: &Origin, faults: Option<&Strace>) {
    let begun = Instant::now();
    while begun.elapsed() < PRUNED && server.status().is_none() && !faults.is_some_and(Strace::has_failed_a_call) {
        let answer = server.get("/metrics").try_answer().await;
        let pruned = answer.ok().and_then(|answer| {
            let line = answer.text.lines().find_map(|line| line.strip_prefix("events_pruned_total "));
            line?.parse::<f64>().ok()
        });
        #[expect(clippy::cast_precision_loss, reason = "a few thousand events")]
        if pruned.is_some_and(|pruned| pruned >= origin.log.len() as f64) {
            return;
        }
        sleep(POLL).await;
    }
}

/// While SQLite's log can be neither written nor synced, nothing may be acknowledged: nothing reaches the disk.
fn expect_no_acknowledgement(point: &Point, record: &Record, writer_struck: Option<u64>) {
    let stops_writes = point.fault.is_lasting() && point.file == File::Wal && point.call != "openat";
    let Some(struck) = writer_struck.filter(|_| stops_writes) else { return };
    let calls = record.calls.borrow();
    let writes = calls.iter().filter(|call| call.start > struck && !call.operation.is_read());
    for call in writes.filter(|call| matches!(call.outcome, Outcome::User(_) | Outcome::Done)) {
        record.object(format!("NotOnDisk: {call}, although nothing could be written"));
    }
}

/// A fault that is over must not be felt any more.
async fn serves_again(server: &Server, record: &Record) {
    let begun = Instant::now();
    while !server.is_ready().await {
        if begun.elapsed() > READY {
            return record.object("NotReady: the service is not ready, although the fault is over".to_owned());
        }
        sleep(POLL).await;
    }
    let create = |n| Operation::Create { name: format!("again-{n}"), email: format!("again-{n}@example.com") };
    Clients::of(server.address(), record, false).insist(create).await;
}

async fn read_stream(address: String, inbox: Inbox) {
    let http = http().build().expect("an HTTP client");
    let _ = follow_sse(&http, &format!("http://{address}/api/v2/events"), &TOKEN, &mut 0, &inbox).await;
}

impl Bench {
    pub fn new(origin: &Origin) -> Self {
        let (database, folder) = (Db::Sqlite.fresh(), TempDir::new().expect("a temporary folder"));
        origin.copy_to(&database);
        Self { database, strace: Strace::to(folder.path()), folder }
    }

    /// Where the database lies that the fault has left.
    pub fn left(&self) -> PathBuf {
        self.folder.path().join("users.db")
    }
}

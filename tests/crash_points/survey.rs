use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use fastrand::Rng;

use crate::calls::{self, BETWEEN, Seen};
use crate::client::Record;
use crate::origin::Origin;
use crate::point::{Errno, Fault, File, Phase, Point};
use crate::support::{Server, Strace};
use crate::trial::{self, Bench};
use crate::workload;

/// Which calls a phase makes, on which files, and how many, when nothing is in its way.
pub struct Survey {
    phase: Phase,
    /// The calls of the thread that makes most of them, counted from 1.
    calls: BTreeMap<(File, String), RangeInclusive<usize>>,
}

type Counts = HashMap<(File, String, String), usize>;

/// Runs a phase without a fault, and counts.
pub async fn survey(phase: Phase, origin: &Origin, seed: u64) -> Survey {
    let bench = Bench::new(origin);
    let program = calls::watch(&bench.strace, origin.program(&bench.database), &bench.database.file());
    let mut server = Server::listening(program);
    server.ready().await;
    let at_ready = counts(&bench.strace);
    let record = Record::default();
    match phase {
        Phase::Create | Phase::Upgrade => {}
        Phase::Changes => {
            workload::run(&server, origin, &record, None, seed).await;
        }
        Phase::Pruning => trial::until_pruned(&mut server, origin, None).await,
    }
    server.kill();
    let all = counts(&bench.strace);
    let mut calls: BTreeMap<_, RangeInclusive<usize>> = BTreeMap::new();
    for ((file, call, thread), last) in match phase {
        Phase::Create | Phase::Upgrade => &at_ready,
        Phase::Changes | Phase::Pruning => &all,
    } {
        let before = if phase == Phase::Pruning { at_ready.get(&(*file, call.clone(), thread.clone())) } else { None };
        let range = before.map_or(0, |before| *before) + 1..=*last;
        let longest = calls.entry((*file, call.clone())).or_insert_with(|| range.clone());
        if longest.clone().count() < range.clone().count() {
            *longest = range;
        }
    }
    calls.retain(|_, range| !range.is_empty());
    Survey { phase, calls }
}

fn counts(strace: &Strace) -> Counts {
    let (text, mut counts) = (strace.text(), Counts::new());
    for Seen { thread, call, file } in text.lines().filter_map(Seen::parse) {
        *counts.entry((file, call.to_owned(), thread.to_owned())).or_default() += 1;
    }
    counts
}

impl Survey {
    /// Chooses at least so many points, if there are as many. Of calls that are made often it chooses more, but by the root
    /// of their number only.
    pub fn choose(&self, points: usize, seed: u64) -> Vec<Point> {
        let mut chosen = Vec::new();
        for weight in 1..100 {
            chosen = self.choose_by(f64::from(weight) / 5.0, seed);
            if chosen.len() >= points {
                break;
            }
        }
        chosen
    }

    fn choose_by(&self, weight: f64, seed: u64) -> Vec<Point> {
        let mut rng = Rng::with_seed(seed);
        let mut points = Vec::new();
        for ((file, call), range) in &self.calls {
            for nth in spread(range, weight, &mut rng) {
                let point = |fault| Point { phase: self.phase, file: *file, call: call.clone(), fault, nth };
                points.extend(faults(*file, call, rng.bool()).into_iter().map(point));
            }
        }
        points
    }

    /// What was counted, in a line.
    pub fn text(&self) -> String {
        let calls =
            self.calls.iter().map(|((file, call), range)| format!("{} {call} {}", file.name(), range.clone().count()));
        format!("{}: {}", self.phase.name(), Vec::from_iter(calls).join(", "))
    }
}

/// What a call meets: every fault, but of the two that last only one. Only SQLite's log is known not to need what is lost.
fn faults(file: File, call: &str, is_full: bool) -> Vec<Fault> {
    let mut faults = vec![Fault::Kill];
    if file == File::Wal && call != "openat" {
        faults.push(Fault::PowerCut);
    }
    if !BETWEEN.contains(&call) {
        let lasting = Fault::Lasting(if is_full { Errno::Enospc } else { Errno::Eio });
        faults.extend([Fault::Once(Errno::Eio), Fault::Once(Errno::Enospc), lasting]);
    }
    faults
}

/// Some of the numbers, one from each of as many parts of equal length.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "few calls")]
fn spread(range: &RangeInclusive<usize>, weight: f64, rng: &mut Rng) -> Vec<usize> {
    let length = range.clone().count();
    let parts = (((length as f64).sqrt() * weight).ceil() as usize).clamp(1, length);
    let begin = |part: usize| range.start() + length * part / parts;
    (0..parts).map(|part| rng.usize(begin(part)..begin(part + 1))).collect()
}

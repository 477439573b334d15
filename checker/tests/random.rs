//! Simulated services: what a right one answers is always explained, what a faulty one answers is not.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say so and stop"
)]

mod support;

use std::time::{Duration, Instant};

use support::brute;
use support::dice::Dice;
use support::naive::Naive;
use support::simulator::{FAULTS, Fault, Setting, simulate};
use support::{call, create, get, is, list, lost, rename, user};
use user_service_checker::{Bounds, History, Outcome, Report, User, Verdict, check, compare, page};

fn judge(history: &History) -> Report {
    check(history, &Bounds::default())
}

/// A linearization is a certificate: it has each answered call, respects real time, and a naive service answers so.
fn assert_witness(history: &History, report: &Report, seed: u64) {
    let ids = brute::ids(history);
    for order in &report.linearizations {
        let mut service = Naive::default();
        let mut latest_start = 0;
        for &at in order {
            let call = &history.calls[at];
            let is_unknown = call.outcome == Outcome::Unknown;
            let end = call.end.filter(|_| !is_unknown).unwrap_or(u64::MAX);
            assert!(latest_start <= end, "seed {seed}: #{at} comes after a call that started after its end");
            latest_start = latest_start.max(call.start);
            if is_unknown {
                service.execute(&call.operation, ids[at]);
            } else {
                assert!(service.accepts(&call.operation, &call.outcome, ids[at]), "seed {seed}: #{at} {call}");
            }
        }
    }
    let in_orders = report.linearizations.iter().flatten();
    let answered = in_orders.filter(|at| history.calls[**at].outcome != Outcome::Unknown).count();
    let all = history
        .calls
        .iter()
        .filter(|call| !matches!(call.outcome, Outcome::Unknown | Outcome::Refused | Outcome::Invalid));
    assert_eq!(answered, all.count(), "seed {seed}");
}

#[test]
fn a_right_service_is_explained() {
    let settings = [
        (2_000, Setting::SMALL),
        (600, Setting::USUAL),
        (200, Setting { unknown: 30, ..Setting::USUAL }),
        (50, Setting { clients: 12, calls: 200, users: 3, emails: 3, groups: 1, ..Setting::USUAL }),
        (2, Setting::LARGE),
    ];
    for (seeds, setting) in settings {
        for seed in 0..seeds {
            let simulated = simulate(seed, &setting);
            let report = judge(&simulated.history);
            let text = || report.text(&simulated.history);
            assert_eq!(report.verdict(), Verdict::Linearizable, "{setting:?}, seed {seed}: {}", text());
            assert_witness(&simulated.history, &report, seed);
            let findings = compare(&simulated.history, &[simulated.reader]);
            assert!(findings.is_empty(), "{setting:?}, seed {seed}: {findings:?}");
        }
    }
}

#[test]
fn a_faulty_service_is_convicted() {
    for fault in FAULTS {
        let (mut convicted, mut faulty) = (0, 0);
        for seed in 0..100 {
            let simulated = simulate(seed, &Setting { fault: Some(fault), calls: 120, ..Setting::USUAL });
            let report = judge(&simulated.history);
            if simulated.faults == 0 {
                assert_eq!(report.verdict(), Verdict::Linearizable, "{fault:?}, seed {seed}");
                continue;
            }
            faulty += 1;
            convicted += usize::from(report.verdict() == Verdict::Violated);
            assert!(report.undecided.is_empty(), "{fault:?}, seed {seed}");
            assert_implied(&report, &simulated.history, seed);
        }
        eprintln!("{fault:?}: {convicted} of {faulty} convicted");
        // What nobody looks at afterwards is explained. A stale answer that was true at some moment of the call is right.
        let least = match fault {
            Fault::IgnoresIfMatch | Fault::AppliesRefused | Fault::TearsLists => 60,
            _ => 85,
        };
        assert!(faulty > 15 && convicted * 100 >= faulty * least, "{fault:?}: {convicted} of {faulty}");
    }
}

/// Findings at first sight never say more than the search; and a convicted partition has a window that can be drawn.
fn assert_implied(report: &Report, history: &History, seed: u64) {
    if !report.findings.is_empty() {
        assert!(!report.faults.is_empty(), "seed {seed}: {:?}", report.findings);
    }
    for fault in &report.faults {
        assert!(fault.window.culprit.is_some(), "seed {seed}");
        assert!(!fault.window.dead_ends.is_empty(), "seed {seed}");
    }
    if !report.faults.is_empty() {
        assert!(page(history, report).contains("class=\"contradicted\""), "seed {seed}");
    }
}

/// Falsifies a history in one place.
fn mutate(history: &mut History, dice: &mut Dice) -> bool {
    let answered = |at: &usize| !matches!(history.calls[*at].outcome, Outcome::Unknown | Outcome::Refused);
    let places = Vec::from_iter((0..history.calls.len()).filter(answered));
    let (Some(&one), Some(&other)) = (dice.one_of(&places), dice.one_of(&places)) else { return false };
    let before = history.clone();
    match dice.below(4) {
        0 => {
            let outcome = history.calls[one].outcome.clone();
            history.calls[one].outcome = std::mem::replace(&mut history.calls[other].outcome, outcome);
        }
        1 => match &mut history.calls[one].outcome {
            Outcome::User(user) => user.version += 1,
            Outcome::Users { users } if !users.is_empty() => users[0].version += 1,
            _ => return false,
        },
        2 => match &mut history.calls[one].outcome {
            Outcome::Users { users } => drop(users.pop()),
            Outcome::NotFound | Outcome::None | Outcome::EmailTaken => return false,
            // The write was acknowledged although it was not executed.
            _ => history.calls[one].outcome = Outcome::Refused,
        },
        _ => history.calls[one].outcome = Outcome::NotFound,
    }
    *history != before
}

#[test]
fn most_mutants_are_convicted() {
    let (mut convicted, mut all) = (0, 0);
    for seed in 0..1_000 {
        let mut history = simulate(seed, &Setting { calls: 40, ..Setting::USUAL }).history;
        let mut dice = Dice::new(seed + 7);
        if mutate(&mut history, &mut dice) {
            all += 1;
            let report = judge(&history);
            assert!(report.undecided.is_empty(), "seed {seed}");
            assert_implied(&report, &history, seed);
            convicted += usize::from(report.verdict() == Verdict::Violated);
        }
    }
    eprintln!("{convicted} of {all} mutants convicted");
    assert!(all > 500 && convicted * 100 > all * 80, "{convicted} of {all}");
}

/// Whether a small mutant is convicted or explained, the exhaustive checker says the same.
#[test]
fn explained_mutants_are_explainable() {
    let (mut convicted, mut explained) = (0, 0);
    for seed in 0..3_000 {
        let mut history = simulate(seed, &Setting { emails: 1 + seed % 3, ..Setting::SMALL }).history;
        let mut dice = Dice::new(seed + 13);
        if mutate(&mut history, &mut dice) {
            let report = judge(&history);
            let is_linearizable = brute::is_linearizable(&history);
            assert_eq!(report.faults.is_empty(), is_linearizable, "seed {seed}: {}", report.text(&history));
            assert_implied(&report, &history, seed);
            if is_linearizable {
                assert_witness(&history, &report, seed);
                explained += 1;
            } else {
                convicted += 1;
            }
        }
    }
    eprintln!("{convicted} small mutants convicted, {explained} explained");
    assert!(convicted > 1_000 && explained > 150, "{convicted}, {explained}");
}

/// A dozen clients whose calls all concern one another, with and without unknown writes: right, and with a fault near the end.
#[test]
fn a_large_partition_takes_seconds() {
    // Unoptimised, one of them takes as long as all others do.
    let (unknown, seeds): (&[u64], _) = if cfg!(debug_assertions) { (&[1], 1) } else { (&[0, 1, 5], 2) };
    let usual = unknown.iter().map(|&unknown| Setting { unknown, ..Setting::LARGE });
    let hot = unknown.iter().map(|&unknown| Setting { unknown, users: 2, emails: 20, ..Setting::LARGE });
    for setting in usual.chain(hot) {
        for seed in 0..seeds {
            let history = simulate(seed, &setting).history;
            measure(&format!("{} users, {} % unknown, seed {seed}", setting.users, setting.unknown), history);
        }
    }
}

/// Nothing orders the writes of a round: to convict takes all subsets of each.
#[test]
fn rounds_of_concurrent_writes_take_seconds() {
    let clients = if cfg!(debug_assertions) { 6 } else { 12 };
    let at = |round: u64, client: u64| (round * 100 + client, round * 100 + 50 + client);
    let email = |client: u64| format!("{client}@x.io");
    let mut calls = Vec::new();
    for round in 0..160 {
        for client in 0..clients {
            let ((start, end), name) = (at(round, client), format!("a-{client}-{round}"));
            let answer = is(client, round + 1, &name, &email(client));
            let operation = if round == 0 { create(&name, &email(client)) } else { rename(client, &name) };
            calls.push(call(u32::try_from(client).unwrap(), start, end, operation, answer));
        }
    }
    calls.push(call(99, 20_000, 20_001, list("b-"), Outcome::Users { users: vec![] }));
    calls.push(call(
        99,
        20_000,
        20_001,
        list("a-"),
        Outcome::Users {
            users: (0..clients).map(|client| user(client, 160, &format!("a-{client}-159"), &email(client))).collect(),
        },
    ));
    measure(&format!("rounds of {clients} writes"), History { calls });
}

/// Each of a dozen unknown writes may be the one that a version is missing for.
#[test]
fn unknown_writes_of_one_user_take_seconds() {
    let mut calls = vec![call(0, 0, 1, create("a-0", "a@x.io"), is(1, 1, "a-0", "a@x.io"))];
    calls.extend((0..12).map(|at| lost(at, 2 + u64::from(at), rename(1, &format!("a-lost-{at}")))));
    for at in 1..=1_500 {
        let (name, start) = (format!("a-{at}"), at * 20);
        let version = 1 + at + (at / 200).min(6);
        let client = u32::try_from(at % 12).unwrap();
        calls.push(call(client, start, start + 200, rename(1, &name), is(1, version, &name, "a@x.io")));
        calls.push(call(
            client,
            start + 201,
            start + 220,
            get(1),
            is(1, version + 11, &format!("a-{}", at + 10), "a@x.io"),
        ));
    }
    calls.retain(|call| !matches!(&call.outcome, Outcome::User(user) if call.operation.is_read() && is_unsure(user)));
    measure("one user with 12 unknown writes", History { calls });
}

/// Reads near a missing version are left out: they would have to be computed.
fn is_unsure(user: &User) -> bool {
    user.version != user.name[2..].parse::<u64>().unwrap() + 1 || user.version > 1_500 || user.version % 200 > 150
}

fn measure(what: &str, mut history: History) {
    for is_wrong in [false, true] {
        if is_wrong {
            let is_user = |outcome: &Outcome| matches!(outcome, Outcome::User(_));
            let last = history.calls.iter_mut().rev().skip(20).find(|call| is_user(&call.outcome)).unwrap();
            if let Outcome::User(user) = &mut last.outcome {
                user.version += 1;
            }
        }
        let begun = Instant::now();
        let report = judge(&history);
        let verdict = if is_wrong { Verdict::Violated } else { Verdict::Linearizable };
        eprintln!(
            "{what}, wrong: {is_wrong}: {:?}, {} calls, {} configurations, {:?}, window of {:?}",
            report.verdict(),
            report.largest,
            report.states,
            begun.elapsed(),
            report.faults.first().map(|fault| fault.window.calls.len()),
        );
        assert_eq!(report.verdict(), verdict, "{what}");
        assert!(begun.elapsed() < Duration::from_secs(100), "{what}: {:?}", begun.elapsed());
    }
}

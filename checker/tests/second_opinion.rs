//! The verdicts of three checkers on thousands of small histories: this one, one that tries all orders, and stateright's.
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say so and stop"
)]

mod support;

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use support::brute;
use support::dice::Dice;
use support::naive::Naive;
use support::{call, create, delete, delete_if, find, get, list, lost, move_to, put, put_if, rename, rename_by_sql};
use user_service_checker::{Bounds, History, Operation, Outcome, User, check};

const HISTORIES: u64 = 10_000;

/// The service as stateright wants it. An operation knows the id that its create gives.
#[derive(Clone)]
struct Service(Naive);

impl SequentialSpec for Service {
    type Op = (Operation, u64);
    type Ret = Outcome;

    fn invoke(&mut self, (operation, id): &Self::Op) -> Outcome {
        if matches!(operation, Operation::Create { .. }) && self.0.used.contains(id) {
            return Outcome::Refused;
        }
        self.0.execute(operation, *id)
    }

    fn is_valid_step(&mut self, (operation, id): &Self::Op, outcome: &Outcome) -> bool {
        self.0.accepts(operation, outcome, *id)
    }
}

/// Each call is a thread of its own: real time orders calls of different threads as well, and an unknown call stays open.
fn stateright_says(history: &History) -> bool {
    let ids = brute::ids(history);
    let mut moments = Vec::new();
    for (at, call) in history.calls.iter().enumerate() {
        let is_unknown = call.outcome == Outcome::Unknown;
        if call.outcome != Outcome::Refused && !(is_unknown && call.operation.is_read()) {
            moments.push((call.start, 0, at));
            moments.extend(call.end.filter(|_| !is_unknown).map(|end| (end, 1, at)));
        }
    }
    moments.sort_unstable();
    let mut tester = LinearizabilityTester::new(Service(Naive::default()));
    for (_, moment, at) in moments {
        let call = &history.calls[at];
        if moment == 0 {
            tester.on_invoke(at, (call.operation.clone(), ids[at])).unwrap();
        } else {
            tester.on_return(at, call.outcome.clone()).unwrap();
        }
    }
    tester.is_consistent()
}

/// Answers that fit together by chance: few users, few addresses, low versions.
fn random_history(dice: &mut Dice) -> History {
    let calls = 2 + dice.below(6);
    let mut names = Vec::new();
    let mut drafts = Vec::new();
    for at in 0..calls {
        let name = format!("{}-{at}", ["a", "b"][usize::try_from(dice.below(2)).unwrap()]);
        let id = 1 + dice.below(2);
        let email = format!("{}@x.io", dice.below(2));
        let operation = match dice.below(12) {
            0..3 => create(&name, &email),
            3 => get(id),
            4 => find(&email),
            5 => list("a-"),
            6 => put(id, &name, &email),
            7 => put_if(1 + dice.below(2), id, &name, &email),
            8 => rename(id, &name),
            9 => move_to(id, &email),
            10 => rename_by_sql(id, &name),
            _ if dice.percent(50) => delete(id),
            _ => delete_if(1 + dice.below(2), id),
        };
        if operation_names(&operation) {
            names.push(name);
        }
        drafts.push(operation);
    }
    let calls = drafts.into_iter().enumerate().map(|(at, operation)| {
        let start = dice.below(30);
        let end = start + dice.below(15);
        if dice.percent(15) {
            return lost(0, start, operation);
        }
        let outcome = random_outcome(&operation, &names, dice);
        call(u32::try_from(at).unwrap(), start, end, operation, outcome)
    });
    History { calls: calls.collect() }
}

fn operation_names(operation: &Operation) -> bool {
    match operation {
        Operation::Create { .. } | Operation::Put { .. } | Operation::Rename { .. } => true,
        Operation::Patch { name, .. } => name.is_some(),
        _ => false,
    }
}

fn random_outcome(operation: &Operation, names: &[String], dice: &mut Dice) -> Outcome {
    let user = |id: u64, dice: &mut Dice| User {
        id,
        name: dice.one_of(names).cloned().unwrap_or_default(),
        email: format!("{}@x.io", dice.below(2)),
        version: 1 + dice.below(2),
    };
    let refused = dice.percent(25);
    match operation {
        Operation::Create { email, .. } if refused && !email.is_empty() => Outcome::EmailTaken,
        Operation::Create { name, email } => {
            Outcome::User(User { id: 1 + dice.below(2), name: name.clone(), email: email.clone(), version: 1 })
        }
        Operation::Get { .. } | Operation::Rename { .. } if refused => Outcome::NotFound,
        Operation::GetByEmail { .. } if refused => Outcome::None,
        Operation::Get { id } => Outcome::User(user(*id, dice)),
        Operation::GetByEmail { email } => {
            Outcome::User(User { email: email.clone(), ..user(1 + dice.below(2), dice) })
        }
        Operation::List { .. } => {
            let mut users = Vec::new();
            if dice.percent(60) {
                users.push(user(1, dice));
            }
            if dice.percent(30) {
                users.push(user(2, dice));
            }
            Outcome::Users { users }
        }
        Operation::Put { .. } | Operation::Patch { .. } | Operation::Delete { .. } if refused => {
            [Outcome::NotFound, Outcome::EmailTaken, Outcome::VersionMismatch, Outcome::Refused]
                [usize::try_from(dice.below(4)).unwrap()]
            .clone()
        }
        Operation::Put { id, name, email, .. } => {
            Outcome::User(User { id: *id, name: name.clone(), email: email.clone(), version: 2 + dice.below(2) })
        }
        Operation::Patch { id, name, email, .. } => {
            let old = user(*id, dice);
            Outcome::User(User {
                id: *id,
                name: name.clone().unwrap_or(old.name),
                email: email.clone().unwrap_or(old.email),
                version: 2 + dice.below(2),
            })
        }
        Operation::Delete { .. } => Outcome::Done,
        Operation::Rename { id, name } => Outcome::User(User { name: name.clone(), ..user(*id, dice) }),
    }
}

#[test]
fn three_checkers_agree() {
    let (mut right, mut wrong, mut with_unknown) = (0, 0, 0);
    for seed in 0..HISTORIES {
        let history = random_history(&mut Dice::new(seed));
        let report = check(&history, &Bounds::default());
        let here = report.faults.is_empty();
        let lines = || Vec::from_iter(history.calls.iter().map(|call| serde_json::to_string(call).unwrap())).join("\n");
        assert_eq!(here, brute::is_linearizable(&history), "seed {seed}: all orders were tried\n{}", lines());
        assert_eq!(here, stateright_says(&history), "seed {seed}: stateright disagrees\n{}", lines());
        assert!(report.findings.is_empty() || !here, "seed {seed}: {:?}\n{}", report.findings, lines());
        if here {
            right += 1;
            with_unknown += u32::from(history.calls.iter().any(|call| call.outcome == Outcome::Unknown));
        } else {
            wrong += 1;
        }
    }
    eprintln!("{right} right ({with_unknown} of them with unknown calls), {wrong} wrong");
    assert!(right > 300 && wrong > 500 && with_unknown > 200, "{right}, {wrong}, {with_unknown}");
}

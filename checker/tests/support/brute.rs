//! The exhaustive checker: tries every order of a small history that respects real time, with each subset of the unknown
//! writes. It prunes nothing but orders whose beginning is wrong already.

use std::collections::HashMap;

use user_service_checker::{Call, History, Operation, Outcome};

use super::naive::Naive;

pub fn is_linearizable(history: &History) -> bool {
    let ids = ids(history);
    let calls = history.calls.iter().zip(ids).filter(|(call, _)| !says_nothing(call));
    let calls = Vec::from_iter(calls);
    assert!(calls.len() <= 12, "too many calls to try all orders");
    continues(&calls, 0, &Naive::default())
}

fn says_nothing(call: &Call) -> bool {
    matches!(call.outcome, Outcome::Refused | Outcome::Invalid)
        || call.outcome == Outcome::Unknown && call.operation.is_read()
}

/// The id that each call's create gives.
pub fn ids(history: &History) -> Vec<u64> {
    let mut seen = HashMap::new();
    for call in &history.calls {
        let users = match &call.outcome {
            Outcome::User(user) => std::slice::from_ref(user),
            Outcome::Users { users } => users,
            _ => &[],
        };
        seen.extend(users.iter().map(|user| (user.name.clone(), user.id)));
    }
    let of = |(at, call): (u64, &Call)| match (&call.operation, &call.outcome) {
        (Operation::Create { .. }, Outcome::User(user)) => user.id,
        (Operation::Create { name, .. }, _) => seen.get(name).copied().unwrap_or(1_000_000 + at),
        _ => 0,
    };
    (0..).zip(&history.calls).map(of).collect()
}

fn end(call: &Call) -> u64 {
    if call.outcome == Outcome::Unknown { u64::MAX } else { call.end.unwrap() }
}

fn continues(calls: &[(&Call, u64)], done: u32, state: &Naive) -> bool {
    let left = || (0..calls.len()).filter(|at| done & 1 << at == 0);
    if left().all(|at| calls[at].0.outcome == Outcome::Unknown) {
        return true;
    }
    let first_end = left().map(|at| end(calls[at].0)).min().unwrap();
    left().filter(|at| calls[*at].0.start <= first_end).any(|at| {
        let (call, id) = calls[at];
        let mut state = state.clone();
        let is_possible = if call.outcome == Outcome::Unknown {
            if matches!(call.operation, Operation::Create { .. }) && state.used.contains(&id) {
                return false;
            }
            state.execute(&call.operation, id);
            true
        } else {
            state.accepts(&call.operation, &call.outcome, id)
        };
        is_possible && continues(calls, done | 1 << at, &state)
    })
}

//! What the tests have in common: a service without any cleverness, a simulator of its clients, and an exhaustive checker.
#![allow(dead_code, unreachable_pub, reason = "each test crate uses a part")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

pub mod brute;
pub mod dice;
pub mod naive;
pub mod simulator;

use user_service_checker::{Call, History, Operation, Outcome, Protocol, User};

/// A call of client `client` from `start` to `end`.
pub fn call(client: u32, start: u64, end: u64, operation: Operation, outcome: Outcome) -> Call {
    Call { client, protocol: Protocol::Rest, operation, start, end: Some(end), outcome }
}

/// A call that was never answered.
pub fn lost(client: u32, start: u64, operation: Operation) -> Call {
    Call { client, protocol: Protocol::Grpc, operation, start, end: None, outcome: Outcome::Unknown }
}

pub fn history(calls: impl IntoIterator<Item = Call>) -> History {
    History { calls: calls.into_iter().collect() }
}

pub fn create(name: &str, email: &str) -> Operation {
    Operation::Create { name: name.into(), email: email.into() }
}

pub fn get(id: u64) -> Operation {
    Operation::Get { id }
}

pub fn find(email: &str) -> Operation {
    Operation::GetByEmail { email: email.into() }
}

pub fn list(name_prefix: &str) -> Operation {
    Operation::List { name_prefix: name_prefix.into() }
}

pub fn put(id: u64, name: &str, email: &str) -> Operation {
    Operation::Put { id, name: name.into(), email: email.into(), if_match: None }
}

pub fn put_if(version: u64, id: u64, name: &str, email: &str) -> Operation {
    Operation::Put { id, name: name.into(), email: email.into(), if_match: Some(version) }
}

pub fn rename(id: u64, name: &str) -> Operation {
    Operation::Patch { id, name: Some(name.into()), email: None, if_match: None }
}

pub fn rename_by_sql(id: u64, name: &str) -> Operation {
    Operation::Rename { id, name: name.into() }
}

pub fn rename_if(version: u64, id: u64, name: &str) -> Operation {
    Operation::Patch { id, name: Some(name.into()), email: None, if_match: Some(version) }
}

pub fn move_to(id: u64, email: &str) -> Operation {
    Operation::Patch { id, name: None, email: Some(email.into()), if_match: None }
}

pub fn delete(id: u64) -> Operation {
    Operation::Delete { id, if_match: None }
}

pub fn delete_if(version: u64, id: u64) -> Operation {
    Operation::Delete { id, if_match: Some(version) }
}

pub fn is(id: u64, version: u64, name: &str, email: &str) -> Outcome {
    Outcome::User(user(id, version, name, email))
}

pub fn are(users: impl IntoIterator<Item = User>) -> Outcome {
    Outcome::Users { users: users.into_iter().collect() }
}

pub fn user(id: u64, version: u64, name: &str, email: &str) -> User {
    User { id, name: name.into(), email: email.into(), version }
}

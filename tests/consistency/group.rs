use std::sync::Mutex;
use std::time::{Duration, Instant};

use fastrand::Rng;
use user_service_checker::{Call, Operation, Outcome, User};

/// What one partition of the history may hold, so that it is checked in seconds.
const CALLS: usize = 2_000;
/// Calls that are in flight when it closes may add as many.
const UNKNOWN_WRITES: usize = 7;
const AGE: Duration = Duration::from_secs(4);
/// Fewer than there are clients, so that they collide.
const ADDRESSES: usize = 4;
/// Users that clients still ask for: those that live, and some that were deleted.
const KNOWN: usize = 6;

/// The users and addresses that some clients share for a few seconds.
pub struct Group {
    /// What the names of all its users begin with, and those of no others.
    pub prefix: String,
    /// Whether most calls are reads. Where users are always changed, what is wrong in memory is evicted before it is seen.
    pub is_calm: bool,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Vec<User>,
    calls: usize,
    unknown_writes: usize,
    names: usize,
}

impl Group {
    pub fn new(prefix: String, is_calm: bool) -> Self {
        Self { prefix, is_calm, began: Instant::now(), state: Mutex::default() }
    }

    pub fn is_full(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.calls >= CALLS || state.unknown_writes >= UNKNOWN_WRITES || self.began.elapsed() > AGE
    }

    /// One of its addresses.
    pub fn address(&self, rng: &mut Rng) -> String {
        format!("{}{}@example.com", self.prefix, rng.usize(..ADDRESSES))
    }

    /// A name that no other write gives.
    pub fn name(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.names += 1;
        format!("{}{}", self.prefix, state.names)
    }

    /// One of the users that some client has seen, as it was seen last; mostly one that was seen lately.
    pub fn user(&self, rng: &mut Rng) -> Option<User> {
        let state = self.state.lock().unwrap();
        let (one, other) = (rng.usize(..KNOWN), rng.usize(..KNOWN));
        let back = one.min(other);
        let at = state.known.len().checked_sub(1)?.saturating_sub(back);
        state.known.get(at).cloned()
    }

    /// Takes note of a call and of the users that it showed.
    pub fn note(&self, call: &Call) {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        if call.outcome == Outcome::Unknown && !call.operation.is_read() {
            state.unknown_writes += 1;
        }
        match &call.outcome {
            Outcome::User(user) => state.see(user, matches!(call.operation, Operation::Create { .. })),
            Outcome::Users { users } => users.iter().for_each(|user| state.see(user, false)),
            _ => {}
        }
    }

    /// Every user that clients still ask for.
    pub fn known(&self) -> Vec<User> {
        self.state.lock().unwrap().known.clone()
    }
}

impl State {
    fn see(&mut self, user: &User, is_new: bool) {
        if let Some(known) = self.known.iter_mut().find(|known| known.id == user.id) {
            if known.version < user.version {
                *known = user.clone();
            }
            return;
        }
        // A user that only a list shows was created by a call without an answer.
        if is_new || self.known.last().is_none_or(|last| last.id < user.id) {
            self.known.push(user.clone());
            if self.known.len() > KNOWN {
                self.known.remove(0);
            }
        }
    }
}

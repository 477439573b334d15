use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use fastrand::Rng;
use user_service_checker::{Operation, Outcome};

/// What a request says about how fresh its answer has to be, and what it is called.
#[derive(Default)]
pub struct Asked {
    pub idempotency_key: Option<String>,
    pub cache_control: Option<&'static str>,
    pub at_least: Option<i64>,
    /// How old the answer may be.
    pub staleness: Duration,
}

/// What one client has seen, which later answers must not take back.
#[derive(Default)]
pub struct Seen {
    /// The highest position of any answer, and up to it each user's version. `None`: it was deleted.
    position: i64,
    users: HashMap<u64, Option<u64>>,
    /// What it has written itself at each replica.
    written: HashMap<(usize, u64), Option<u64>>,
}

impl Seen {
    /// Chooses how fresh the answer to an operation has to be. `staleness`: what the replicas allow, in milliseconds.
    pub fn ask(&self, operation: &Operation, staleness: u64, rng: &mut Rng) -> Asked {
        if !matches!(operation, Operation::Get { .. } | Operation::GetByEmail { .. }) || staleness == 0 {
            return Asked::default();
        }
        let (cache_control, staleness) = match rng.u32(..6) {
            0 => (Some("no-cache"), 0),
            1 => (Some("max-stale=1"), 1000),
            _ => (None, staleness),
        };
        let at_least = rng.bool().then_some(self.position).filter(|position| *position > 0);
        Asked { idempotency_key: None, cache_control, at_least, staleness: Duration::from_millis(staleness) }
    }

    /// Takes note of an answer. Returns what is wrong with it: it takes back what the client has seen up to the position that
    /// it has sent, or has written at this replica.
    ///
    /// Whether an answer is too old is left to the checker.
    pub fn learn(
        &mut self,
        replica: usize,
        asked: &Asked,
        operation: &Operation,
        outcome: &Outcome,
        position: Option<i64>,
    ) -> Option<String> {
        let (id, version) = shown(operation, outcome)?;
        let takes_back = |seen: Option<&Option<u64>>| match (seen, version) {
            (Some(None), version) => version.is_some(),
            (Some(Some(seen)), Some(version)) => version < *seen,
            // It may have been deleted since.
            (Some(Some(_)), None) | (None, _) => false,
        };
        let flaw = if !operation.is_read() {
            None
        } else if asked.at_least.is_some() && takes_back(self.users.get(&id)) {
            Some(format!(
                "{operation} at least as of {:?}: {outcome:?}, after {:?}",
                asked.at_least,
                self.users.get(&id)
            ))
        } else if takes_back(self.written.get(&(replica, id))) {
            Some(format!("{operation}: {outcome:?}, after its client wrote {:?}", self.written.get(&(replica, id))))
        } else {
            None
        };
        if let Some(position) = position {
            self.position = self.position.max(position);
            learn(&mut self.users, id, version);
        }
        if !operation.is_read() {
            learn(&mut self.written, (replica, id), version);
        }
        flaw
    }
}

/// Keeps the later of two versions; a deletion is the last.
fn learn<K: Eq + Hash>(seen: &mut HashMap<K, Option<u64>>, key: K, version: Option<u64>) {
    let kept = seen.entry(key).or_insert(version);
    *kept = kept.zip(version).map(|(kept, version)| kept.max(version));
}

/// The user that an answer is about, with its version, or that it is deleted. Clients know ids and versions from answers
/// only, so a refusal says that it has changed since.
fn shown(operation: &Operation, outcome: &Outcome) -> Option<(u64, Option<u64>)> {
    match (operation, outcome) {
        (_, Outcome::User(user)) => Some((user.id, Some(user.version))),
        (
            Operation::Get { id }
            | Operation::Put { id, .. }
            | Operation::Patch { id, .. }
            | Operation::Delete { id, .. },
            Outcome::NotFound,
        )
        | (Operation::Delete { id, .. }, Outcome::Done) => Some((*id, None)),
        (
            Operation::Put { id, if_match: Some(version), .. }
            | Operation::Patch { id, if_match: Some(version), .. }
            | Operation::Delete { id, if_match: Some(version) },
            Outcome::VersionMismatch,
        ) => Some((*id, Some(version + 1))),
        _ => None,
    }
}

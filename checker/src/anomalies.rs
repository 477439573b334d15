//! What is wrong with a history at first sight.
//!
//! No linearizable history has any of this, so the search for a linearization convicts it too. But these findings say in
//! one sentence what is wrong, and they reach over all partitions at no cost.

use std::collections::{HashMap, HashSet};

use crate::history::{Call, History, Operation, Outcome, User};

/// Something that no linearizable history has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is called.
    pub anomaly: Anomaly,
    /// What happened, in one sentence.
    pub message: String,
    /// The calls that show it, as places in the history; or, of [events](crate::events), the events' places.
    pub places: Vec<usize>,
}

/// The names of what no linearizable history has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anomaly {
    /// Two creates answered the same id.
    IdReused,
    /// A user was seen with a name that no write gave, or only writes that took no effect.
    NeverWritten,
    /// A user was seen with a name before the write of that name started.
    SeenEarly,
    /// One version of a user was seen with two contents, and no rename made the difference.
    Forked,
    /// A call saw a version older than one that another call had been answered before.
    WentBack,
    /// A user was seen by a call that started after the user's delete was acknowledged.
    SeenDeleted,
    /// A change has no event.
    EventMissing,
    /// An event tells of a change that the history does not have.
    EventUnfounded,
    /// An event came twice where each comes once.
    EventRepeated,
    /// Events of one user are not in the order of its versions, or positions do not rise.
    EventOutOfOrder,
    /// A user's events leave out a version.
    EventHole,
    /// Deliveries of one event differ, or two events have one id.
    EventDiffers,
    /// An event came before its write was sent.
    EventEarly,
}

/// All that is wrong with a history at first sight.
pub(crate) fn anomalies(history: &History) -> Vec<Finding> {
    let (sightings, renames) = (sightings(history), renames(history));
    let mut findings = reused_ids(history);
    findings.extend(unwritten(history));
    for seen in sightings.values() {
        findings.extend(forks(seen, &renames));
        findings.extend(steps_back(seen));
    }
    findings.extend(deleted(history, &sightings));
    findings.sort_by(|one, other| one.places.cmp(&other.places).then(one.anomaly.cmp(&other.anomaly)));
    findings
}

/// A user in the outcome of a call.
#[derive(Clone, Copy)]
struct Sighting<'history> {
    at: usize,
    call: &'history Call,
    user: &'history User,
}

impl Sighting<'_> {
    fn end(&self) -> u64 {
        self.call.end.unwrap_or(u64::MAX)
    }
}

fn sightings(history: &History) -> HashMap<u64, Vec<Sighting<'_>>> {
    let mut sightings: HashMap<u64, Vec<_>> = HashMap::new();
    for (at, call) in history.calls.iter().enumerate() {
        for user in call.seen() {
            sightings.entry(user.id).or_default().push(Sighting { at, call, user });
        }
    }
    sightings
}

fn reused_ids(history: &History) -> Vec<Finding> {
    let mut first = HashMap::new();
    let mut findings = Vec::new();
    for (at, call) in history.calls.iter().enumerate() {
        if let (Operation::Create { .. }, Outcome::User(user)) = (&call.operation, &call.outcome) {
            let before = *first.entry(user.id).or_insert(at);
            if before != at {
                let message = format!("two creates were answered the id {}", user.id);
                findings.push(Finding { anomaly: Anomaly::IdReused, message, places: vec![before, at] });
            }
        }
    }
    findings
}

fn unwritten(history: &History) -> Vec<Finding> {
    let named = history.calls.iter().enumerate().filter_map(|(at, call)| Some((call.operation.name()?, (at, call))));
    let writers: HashMap<&str, (usize, &Call)> = named.collect();
    let mut first = HashMap::new();
    for (at, call) in history.calls.iter().enumerate() {
        for user in call.seen() {
            let earliest = first.entry(user.name.as_str()).or_insert((at, call, user));
            if call.end < earliest.1.end {
                *earliest = (at, call, user);
            }
        }
    }
    let findings = first.into_values().filter_map(|(at, call, user)| {
        let Some((writer, write)) = writers.get(user.name.as_str()) else {
            let message = format!("{user} was seen, but no call gave that name");
            return Some(Finding { anomaly: Anomaly::NeverWritten, message, places: vec![at] });
        };
        let (anomaly, message) = match write.outcome {
            Outcome::User(_) | Outcome::Unknown if call.end.is_none_or(|end| end >= write.start) => return None,
            Outcome::User(_) | Outcome::Unknown => {
                (Anomaly::SeenEarly, format!("{user} was seen before the call that gave that name started"))
            }
            _ => {
                let message =
                    format!("{user} was seen, but the call that gave that name was answered: {}", write.outcome);
                (Anomaly::NeverWritten, message)
            }
        };
        Some(Finding { anomaly, message, places: vec![*writer, at] })
    });
    findings.collect()
}

/// The names that renames give: a version has them beside the one that its write left.
fn renames(history: &History) -> HashSet<&str> {
    let given = history.calls.iter().filter(|call| matches!(call.operation, Operation::Rename { .. }));
    given.filter_map(|call| call.operation.name()).collect()
}

fn forks(seen: &[Sighting<'_>], renames: &HashSet<&str>) -> Option<Finding> {
    let mut first = HashMap::new();
    seen.iter().find_map(|sighting| {
        let is_renamed = renames.contains(sighting.user.name.as_str());
        let before = *first.entry((sighting.user.version, is_renamed)).or_insert(*sighting);
        let differs = if is_renamed { before.user.email != sighting.user.email } else { before.user != sighting.user };
        differs.then(|| Finding {
            anomaly: Anomaly::Forked,
            message: format!("one version was seen as {} and as {}", before.user, sighting.user),
            places: vec![before.at, sighting.at],
        })
    })
}

fn steps_back(seen: &[Sighting<'_>]) -> Option<Finding> {
    let (mut by_start, mut by_end) = (seen.to_vec(), seen.to_vec());
    by_start.sort_by_key(|sighting| sighting.call.start);
    by_end.sort_by_key(Sighting::end);
    let mut ended = by_end.into_iter().peekable();
    let mut newest: Option<Sighting<'_>> = None;
    by_start.into_iter().find_map(|sighting| {
        while let Some(earlier) = ended.next_if(|earlier| earlier.end() < sighting.call.start) {
            if newest.is_none_or(|newest| newest.user.version < earlier.user.version) {
                newest = Some(earlier);
            }
        }
        let newest = newest.filter(|newest| newest.user.version > sighting.user.version)?;
        Some(Finding {
            anomaly: Anomaly::WentBack,
            message: format!("{} was seen after {} had been answered", sighting.user, newest.user),
            places: vec![newest.at, sighting.at],
        })
    })
}

fn deleted(history: &History, sightings: &HashMap<u64, Vec<Sighting<'_>>>) -> Vec<Finding> {
    let deletes = history.calls.iter().enumerate().filter(|(_, call)| call.outcome == Outcome::Done);
    let findings = deletes.filter_map(|(at, delete)| {
        let id = delete.operation.id()?;
        let later = sightings.get(&id)?.iter().find(|sighting| Some(sighting.call.start) > delete.end)?;
        Some(Finding {
            anomaly: Anomaly::SeenDeleted,
            message: format!("{} was seen after the user's delete had been acknowledged", later.user),
            places: vec![at, later.at],
        })
    });
    findings.collect()
}

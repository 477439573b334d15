//! Changes: whether what readers were told of them is exactly what the history says.
//!
//! A file of events holds one JSON object per line and event, each reader's in the order in which it had them:
//!
//! ```json
//! {"reader":"sse-1","channel":"sse","position":1,"event_id":"018bcfe5","type":"created","id":7,"version":1,"name":"a-1","email":"a1@x.io","time":30}
//! {"reader":"sse-1","channel":"sse","position":2,"event_id":"018bcfe6","type":"deleted","id":7,"version":2,"time":50}
//! ```
//!
//! What is asked of each reader:
//!
//! - **Nothing is missing**: each version of a user that some call saw has its event, so has each acknowledged delete, and so
//!   has each change that another reader was told of.
//! - **Nothing is made up**: each event tells of a write that took effect, or of one with an unknown outcome; of each at most
//!   once.
//! - **Each user's events are in the order of its versions, without a hole.** A delete is a change: its version is one more
//!   than the user's last.
//! - **No event comes twice**, except over RabbitMQ, where a repeated one must be the same.
//! - **No event comes before its write was sent.**
//!
//! A rename by SQL has no event, so none may tell of it. But an update that keeps the name tells of the name it found.
//!
//! Every reader must read from the first change until nothing more comes.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::anomalies::{Anomaly, Finding};
use crate::history::{Call, History, Malformed, Operation, Outcome, User, read_lines};

/// Compares what each reader was told with the changes of a history. A finding's places are places in its reader's events.
#[must_use]
pub fn compare(history: &History, readers: &[Reader]) -> Vec<Finding> {
    let changes = Changes::new(history);
    let mut findings = Vec::new();
    for reader in readers {
        let mut reading =
            Reading { reader, changes: &changes, told: HashMap::new(), used: HashSet::new(), findings: vec![] };
        reading.read();
        findings.extend(reading.findings);
    }
    findings.extend(differences(readers));
    findings
}

/// Who was told of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// What messages call it.
    pub name: String,
    /// How it was told.
    pub channel: Channel,
    /// What it was told, in the order in which it had it.
    pub events: Vec<Event>,
}

/// How a reader is told of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A queue, which delivers at least once.
    Rabbitmq,
    /// `GET /api/v2/events`, each event once.
    Sse,
    /// `WatchUsers`, each event once.
    Grpc,
}

/// What a reader was told of one change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the reader's stream. Positions rise, except over RabbitMQ.
    pub position: u64,
    /// The event's own id, the same on every delivery and channel.
    pub event_id: String,
    /// What became of the user.
    #[serde(rename = "type")]
    pub change: Change,
    /// The user's id.
    pub id: u64,
    /// The version that the change made; for a delete one more than the last.
    pub version: u64,
    /// The user's name after the change; absent for a delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The user's address after the change; absent for a delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When the reader had it, in nanoseconds of the history's clock.
    pub time: u64,
}

/// What becomes of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was created.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
}

#[derive(Deserialize)]
struct Line {
    reader: String,
    channel: Channel,
    #[serde(flatten)]
    event: Event,
}

/// All readers of a file of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers(pub Vec<Reader>);

impl FromStr for Readers {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut readers: Vec<Reader> = Vec::new();
        for Line { reader: name, channel, event } in read_lines(text, |_| None)? {
            match readers.iter_mut().find(|reader| reader.name == name && reader.channel == channel) {
                Some(reader) => reader.events.push(event),
                None => readers.push(Reader { name, channel, events: vec![event] }),
            }
        }
        Ok(Readers(readers))
    }
}

/// What a history says about changes.
struct Changes<'history> {
    history: &'history History,
    /// Each version of a user that some call saw.
    seen: HashMap<(u64, u64), Seen<'history>>,
    /// The renames, by the names that they give.
    renames: HashMap<&'history str, &'history Call>,
    /// The acknowledged write of each version.
    writes: HashMap<(u64, u64), &'history Call>,
    /// Users that are surely gone: an acknowledged delete, or a 404 after the user was seen.
    gone: HashSet<u64>,
    deletes: HashMap<u64, &'history Call>,
}

impl<'history> Changes<'history> {
    fn new(history: &'history History) -> Self {
        let calls = || history.calls.iter();
        let may_have_renamed = |call: &&Call| matches!(call.outcome, Outcome::User(_) | Outcome::Unknown);
        let renames = calls().filter(|call| is_rename(call)).filter(may_have_renamed);
        let renames = renames.filter_map(|call| Some((call.operation.name()?, call))).collect();
        let seen = seen_versions(history, &renames);
        let writes = calls().filter(|call| !call.operation.is_read() && !is_rename(call));
        let writes =
            writes.filter_map(|call| call.seen().first().map(|user| ((user.id, user.version), call))).collect();
        let done = calls().filter(|call| call.outcome == Outcome::Done);
        let deletes: HashMap<_, _> = done.filter_map(|call| Some((call.operation.id()?, call))).collect();
        let mut first_seen: HashMap<u64, u64> = HashMap::new();
        for (call, user) in calls().flat_map(|call| call.seen().iter().map(move |user| (call, user))) {
            let end = call.end.unwrap_or(u64::MAX);
            first_seen.entry(user.id).and_modify(|first| *first = end.min(*first)).or_insert(end);
        }
        let missed = calls().filter(|call| call.outcome == Outcome::NotFound).filter_map(|call| {
            let id = call.operation.id()?;
            first_seen.get(&id).is_some_and(|seen| *seen < call.start).then_some(id)
        });
        let gone = missed.chain(deletes.keys().copied()).collect();
        Changes { history, seen, renames, writes, gone, deletes }
    }

    /// The write that an event tells of: the acknowledged one, or one with an unknown outcome that could have done it and
    /// that no other event told of. Those with an `if_match` come first, because they fit only here.
    fn write_of(&self, event: &Event, last: Option<&Event>, used: &mut HashSet<usize>) -> Option<&'history Call> {
        let acknowledged = match event.change {
            Change::Deleted => self.deletes.get(&event.id),
            Change::Created | Change::Updated => self.writes.get(&(event.id, event.version)),
        };
        if let Some(call) = acknowledged {
            return Some(call);
        }
        let could = |(at, call): &(usize, &Call)| {
            call.outcome == Outcome::Unknown
                && call.start <= event.time
                && self.could_tell(&call.operation, event, last)
                && !used.contains(at)
        };
        let fitting = self.history.calls.iter().enumerate().filter(could);
        let (at, call) = fitting.max_by_key(|(_, call)| call.operation.if_match().is_some())?;
        used.insert(at);
        Some(call)
    }

    /// Whether the write could have made the change.
    fn could_tell(&self, operation: &Operation, event: &Event, last: Option<&Event>) -> bool {
        let matches = operation.if_match().is_none_or(|version| version.checked_add(1) == Some(event.version));
        let kept = |new: Option<&str>, old: Option<&Option<String>>, told: &Option<String>| match new {
            Some(new) => told.as_deref() == Some(new),
            None => old == Some(told),
        };
        let keeps_renamed = operation.name().is_none() && self.was_renamed(event);
        let leaves = (keeps_renamed || kept(operation.name(), last.map(|last| &last.name), &event.name))
            && kept(operation.email(), last.map(|last| &last.email), &event.email);
        match (operation, event.change) {
            (Operation::Create { .. }, Change::Created) => leaves,
            (Operation::Put { id, .. } | Operation::Patch { id, .. }, Change::Updated) => {
                *id == event.id && matches && leaves
            }
            (Operation::Delete { id, .. }, Change::Deleted) => *id == event.id && matches,
            _ => false,
        }
    }

    /// Whether a rename may have given the user the name that the event tells of.
    fn was_renamed(&self, event: &Event) -> bool {
        let rename = event.name.as_deref().and_then(|name| self.renames.get(name));
        rename.is_some_and(|rename| rename.operation.id() == Some(event.id) && rename.start <= event.time)
    }
}

/// A version of a user, as some call saw it.
#[derive(Clone, Copy)]
struct Seen<'history> {
    user: &'history User,
    /// Whether the name is the one that the version's write left, and not one that a rename gave the version later.
    is_as_written: bool,
}

/// Each version that some call saw, as its write left it if some call saw that.
fn seen_versions<'history>(
    history: &'history History,
    renames: &HashMap<&str, &Call>,
) -> HashMap<(u64, u64), Seen<'history>> {
    let mut seen = HashMap::new();
    for (call, user) in history.calls.iter().flat_map(|call| call.seen().iter().map(move |user| (call, user))) {
        let is_its_write = !call.operation.is_read() && !is_rename(call);
        let is_as_written = is_its_write || !renames.contains_key(user.name.as_str());
        let version = seen.entry((user.id, user.version)).or_insert(Seen { user, is_as_written });
        if is_as_written {
            *version = Seen { user, is_as_written };
        }
    }
    seen
}

fn is_rename(call: &Call) -> bool {
    matches!(call.operation, Operation::Rename { .. })
}

/// One reader's events on their way through the comparison.
struct Reading<'events> {
    reader: &'events Reader,
    changes: &'events Changes<'events>,
    /// The last event of each user.
    told: HashMap<u64, &'events Event>,
    /// The writes with an unknown outcome that an event has told of.
    used: HashSet<usize>,
    findings: Vec<Finding>,
}

impl Reading<'_> {
    fn read(&mut self) {
        let reader = self.reader;
        let mut first: HashMap<&str, (usize, &Event)> = HashMap::new();
        let mut last_position = None;
        for (at, event) in reader.events.iter().enumerate() {
            if let Some((before, same)) = first.get(event.event_id.as_str()) {
                self.repeated(*before, same, at, event);
                continue;
            }
            first.insert(&event.event_id, (at, event));
            if reader.channel != Channel::Rabbitmq && last_position >= Some(event.position) {
                self.find(Anomaly::EventOutOfOrder, &format!("position {} does not rise", event.position), vec![at]);
            }
            last_position = Some(event.position);
            self.in_order(at, event);
            self.founded(at, event);
            self.told.insert(event.id, event);
        }
        self.complete();
    }

    fn repeated(&mut self, before: usize, first: &Event, at: usize, event: &Event) {
        let told = |event: &Event| Event { position: 0, time: 0, ..event.clone() };
        if told(first) != told(event) {
            let message = format!("two events have the id {}, and differ", event.event_id);
            self.find(Anomaly::EventDiffers, &message, vec![before, at]);
        } else if self.reader.channel != Channel::Rabbitmq {
            self.find(Anomaly::EventRepeated, &format!("event {} came twice", event.event_id), vec![before, at]);
        }
    }

    fn in_order(&mut self, at: usize, event: &Event) {
        let last = self.told.get(&event.id);
        let (before, next) = (last.map_or(0, |last| last.version), event.version);
        let what = format!("user {}: version {next} ({:?}) came after version {before}", event.id, event.change);
        let is_end = last.is_some_and(|last| last.change == Change::Deleted);
        if next <= before || is_end || (event.change == Change::Created) != (next == 1) {
            self.find(Anomaly::EventOutOfOrder, &what, vec![at]);
        } else if next > before + 1 {
            self.find(Anomaly::EventHole, &what, vec![at]);
        }
    }

    fn founded(&mut self, at: usize, event: &Event) {
        let last = self.told.get(&event.id).copied();
        let write = self.changes.write_of(event, last, &mut self.used);
        let what = format!("user {} version {} ({:?})", event.id, event.version, event.change);
        match write {
            None => self.find(Anomaly::EventUnfounded, &format!("{what}: no call made this change"), vec![at]),
            Some(write) if write.start > event.time => {
                self.find(Anomaly::EventEarly, &format!("{what}: came before its call was sent: {write}"), vec![at]);
            }
            Some(_) => {}
        }
        let told = (event.name.as_deref(), event.email.as_deref());
        let seen = self.changes.seen.get(&(event.id, event.version));
        let differs = |seen: &&Seen<'_>| {
            told.1 != Some(&seen.user.email) || seen.is_as_written && told.0 != Some(&seen.user.name)
        };
        if let Some(seen) = seen.filter(differs) {
            let message = format!("{what}: tells of {told:?}, but a call saw {}", seen.user);
            self.find(Anomaly::EventUnfounded, &message, vec![at]);
        }
    }

    fn complete(&mut self) {
        let told: HashSet<_> = self.reader.events.iter().map(|event| (event.id, event.version)).collect();
        let seen = self.changes.seen.values().map(|seen| seen.user);
        let mut missing = Vec::from_iter(seen.filter(|seen| !told.contains(&(seen.id, seen.version))));
        missing.sort();
        for user in missing {
            self.find(Anomaly::EventMissing, &format!("no event of {user}, which a call saw"), vec![]);
        }
        let is_delete = |event: &&Event| event.change == Change::Deleted;
        let deleted: HashSet<u64> = self.reader.events.iter().filter(is_delete).map(|event| event.id).collect();
        let mut missing = Vec::from_iter(self.changes.gone.difference(&deleted));
        missing.sort();
        for id in missing {
            self.find(Anomaly::EventMissing, &format!("no event of the delete of user {id}"), vec![]);
        }
    }

    fn find(&mut self, anomaly: Anomaly, message: &str, places: Vec<usize>) {
        self.findings.push(Finding { anomaly, message: format!("{}: {message}", self.reader.name), places });
    }
}

/// What readers were told differently: an event's id, or a change at all.
fn differences(readers: &[Reader]) -> Vec<Finding> {
    let mut ids: HashMap<(u64, u64), (&str, &str)> = HashMap::new();
    let mut findings = Vec::new();
    for reader in readers {
        for (at, event) in reader.events.iter().enumerate() {
            let first = *ids.entry((event.id, event.version)).or_insert((&event.event_id, &reader.name));
            if first.0 != event.event_id {
                let message = format!(
                    "{}: user {} version {} is event {}, for {} event {}",
                    reader.name, event.id, event.version, event.event_id, first.1, first.0
                );
                findings.push(Finding { anomaly: Anomaly::EventDiffers, message, places: vec![at] });
            }
        }
    }
    for reader in readers {
        let told: HashSet<_> = reader.events.iter().map(|event| (event.id, event.version)).collect();
        let mut missing = Vec::from_iter(ids.iter().filter(|(change, _)| !told.contains(*change)));
        missing.sort();
        findings.extend(missing.into_iter().map(|((id, version), (_, other))| Finding {
            anomaly: Anomaly::EventMissing,
            message: format!("{}: no event of user {id} version {version}, of which {other} was told", reader.name),
            places: vec![],
        }));
    }
    findings
}

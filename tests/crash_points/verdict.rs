use std::collections::{BTreeMap, HashMap};
use std::mem;

use user_service_checker::events::{Change, Channel, Event, Reader};
use user_service_checker::{Bounds, History, User, Verdict, check, compare, page};

use crate::client::Record;
use crate::evidence::Evidence;
use crate::origin::Origin;
use crate::rows::{FILLER, LogRow, Rows};

/// Judges what the calls were answered, what the live stream has told, and what the database holds.
pub fn judge(origin: &Origin, record: &Record, told: &[Event], rows: &Rows, evidence: &mut Evidence) {
    let history = History { calls: mem::take(&mut *record.calls.borrow_mut()) };
    let newer = rows.log.iter().filter(|row| row.id > origin.last());
    let newer = newer.filter_map(|row| row.event(origin.behind));
    let events = Vec::from_iter(origin.events.iter().cloned().chain(newer));
    let mut complaints = log_complaints(origin, rows);
    if rows.schema != origin.schema {
        complaints.push(format!("SchemaDiffers: {:#?}", rows.schema));
    }
    complaints.extend(live_complaints(origin, told, &events));
    complaints.extend(fold_complaints(&events, &rows.users));
    let log = Reader { name: "log".to_owned(), channel: Channel::Sse, events };
    let compared = compare(&history, std::slice::from_ref(&log));
    complaints.extend(compared.iter().map(|finding| format!("{:?}: {}", finding.anomaly, finding.message)));
    let report = check(&history, &Bounds::default());
    if report.verdict() != Verdict::Linearizable {
        complaints.push(format!("{:?}: {}", report.verdict(), report.text(&history)));
    }
    if !complaints.is_empty() || !record.objections.borrow().is_empty() {
        evidence.text = report.text(&history);
        evidence.page = page(&history, &report);
        evidence.events = log.events;
    }
    complaints.into_iter().for_each(|what| record.object(what));
    *record.calls.borrow_mut() = history.calls;
}

/// Whether the log still holds what it held at the origin, but for what is pruned, and has no hole.
pub fn log_complaints(origin: &Origin, rows: &Rows) -> Vec<String> {
    let mut complaints = Vec::new();
    let kept = Vec::from_iter(origin.log.iter().filter(|row| row.id > rows.pruned_to));
    let found = Vec::from_iter(rows.log.iter().filter(|row| row.id <= origin.last()));
    if kept != found {
        let (one, other) = (kept.len(), found.len());
        complaints.push(format!(
            "LogDiffers: of the events before, all behind {} are to be there, {one}; there are {other}, or others",
            rows.pruned_to
        ));
    }
    let ids = rows.log.iter().map(|LogRow { id, .. }| *id);
    let expected = (rows.pruned_to + 1..).take(rows.log.len());
    if let Some((id, expected)) = ids.zip(expected).find(|(id, expected)| id != expected) {
        complaints.push(format!("LogHole: event {id} is in the place of event {expected}"));
    }
    complaints
}

/// Whether all that the live stream has told is in the log.
fn live_complaints(origin: &Origin, told: &[Event], events: &[Event]) -> Vec<String> {
    let content = |event: &Event| (event.change, event.id, event.version, event.name.clone(), event.email.clone());
    let log: HashMap<u64, _> =
        events.iter().map(|event| (event.position.saturating_sub(origin.behind), content(event))).collect();
    let is_lost = |told: &&Event| told.id < FILLER && log.get(&told.position) != Some(&content(told));
    let lost = told.iter().filter(is_lost);
    lost.map(|told| format!("ToldTooEarly: the live stream has told of what is not in the log: {told:?}")).collect()
}

/// Whether the users are what the events have made of them.
fn fold_complaints(events: &[Event], users: &BTreeMap<u64, User>) -> Vec<String> {
    let mut folded = BTreeMap::new();
    for event in events {
        match (event.change, &event.name, &event.email) {
            (Change::Created | Change::Updated, Some(name), Some(email)) => {
                let user = User { id: event.id, name: name.clone(), email: email.clone(), version: event.version };
                folded.insert(event.id, user);
            }
            _ => {
                folded.remove(&event.id);
            }
        }
    }
    let ids = folded.keys().chain(users.keys()).collect::<std::collections::BTreeSet<_>>();
    let differ = ids.into_iter().filter(|id| folded.get(id) != users.get(id));
    differ
        .map(|id| format!("Half: by the events user {id} is {:?}, and is {:?}", folded.get(id), users.get(id)))
        .collect()
}

//! What readers are told of changes, against a history made by hand.
#![forbid(unsafe_code)]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

mod support;

use support::*;
use user_service_checker::events::{Change, Channel, Event, Reader, Readers};
use user_service_checker::{Anomaly, Call, History, Operation, Outcome, compare};

/// User 7 is created, updated twice, of which the second is unknown, and deleted.
fn calls() -> History {
    history([
        call(0, 0, 10, create("a-1", "a@x.io"), is(7, 1, "a-1", "a@x.io")),
        call(0, 20, 30, put(7, "a-2", "b@x.io"), is(7, 2, "a-2", "b@x.io")),
        lost(1, 40, rename(7, "a-3")),
        call(0, 60, 70, delete(7), Outcome::Done),
        lost(2, 5, create("b-1", "c@x.io")),
    ])
}

fn event(position: u64, change: Change, id: u64, version: u64, shown: Option<(&str, &str)>) -> Event {
    let (name, email) = shown.map(|(name, email)| (name.to_owned(), email.to_owned())).unzip();
    Event { position, event_id: format!("e{id}-{version}"), change, id, version, name, email, time: 100 + position }
}

fn told() -> Vec<Event> {
    vec![
        event(1, Change::Created, 7, 1, Some(("a-1", "a@x.io"))),
        event(2, Change::Updated, 7, 2, Some(("a-2", "b@x.io"))),
        event(3, Change::Deleted, 7, 3, None),
    ]
}

fn reader(channel: Channel, events: Vec<Event>) -> Reader {
    Reader { name: format!("{channel:?}"), channel, events }
}

fn found(history: &History, readers: &[Reader]) -> Vec<Anomaly> {
    compare(history, readers).into_iter().map(|finding| finding.anomaly).collect()
}

#[track_caller]
fn expect(anomalies: &[Anomaly], change: impl FnOnce(&mut Vec<Event>)) {
    let mut events = told();
    change(&mut events);
    let findings = compare(&calls(), &[reader(Channel::Sse, events)]);
    assert_eq!(Vec::from_iter(findings.iter().map(|finding| finding.anomaly)), anomalies, "{findings:?}");
}

#[test]
fn exactly_the_changes() {
    expect(&[], |_| {});
}

#[test]
fn an_unknown_write_may_be_told() {
    expect(&[], |events| {
        events.insert(2, event(3, Change::Updated, 7, 3, Some(("a-3", "b@x.io"))));
        events[3] = event(4, Change::Deleted, 7, 4, None);
        events.push(event(5, Change::Created, 8, 1, Some(("b-1", "c@x.io"))));
    });
}

#[test]
fn an_unknown_write_is_told_once() {
    expect(&[Anomaly::EventUnfounded], |events| {
        events[2] = event(3, Change::Updated, 7, 3, Some(("a-3", "b@x.io")));
        events.push(event(4, Change::Updated, 7, 4, Some(("a-3", "b@x.io"))));
        events.push(event(5, Change::Deleted, 7, 5, None));
    });
}

#[test]
fn an_unknown_write_that_a_read_saw_must_be_told() {
    let mut calls = calls();
    calls.calls.push(call(3, 50, 55, get(7), is(7, 3, "a-3", "b@x.io")));
    // The delete has the version of the change that is missing.
    assert_eq!(found(&calls, &[reader(Channel::Sse, told()[..2].to_vec())]), [Anomaly::EventMissing; 2]);
    let mut events = told();
    events.insert(2, event(3, Change::Updated, 7, 3, Some(("a-3", "b@x.io"))));
    events[3] = event(4, Change::Deleted, 7, 4, None);
    assert_eq!(found(&calls, &[reader(Channel::Sse, events)]), []);
}

#[test]
fn an_unknown_delete_that_a_404_saw_must_be_told() {
    let calls = history([
        call(0, 0, 10, create("a-1", "a@x.io"), is(7, 1, "a-1", "a@x.io")),
        lost(0, 20, delete(7)),
        call(1, 30, 40, get(7), Outcome::NotFound),
    ]);
    assert_eq!(found(&calls, &[reader(Channel::Grpc, told()[..1].to_vec())]), [Anomaly::EventMissing]);
    let all = vec![told()[0].clone(), event(2, Change::Deleted, 7, 2, None)];
    assert_eq!(found(&calls, &[reader(Channel::Grpc, all)]), []);
}

#[test]
fn a_change_is_not_told() {
    expect(&[Anomaly::EventHole, Anomaly::EventMissing], |events| drop(events.remove(1)));
    expect(&[Anomaly::EventMissing], |events| drop(events.remove(2)));
}

#[test]
fn what_is_told_was_not_written() {
    expect(&[Anomaly::EventUnfounded], |events| events[1].name = Some("z".into()));
    expect(&[Anomaly::EventUnfounded], |events| events.push(event(4, Change::Created, 9, 1, Some(("z", "z@x.io")))));
}

#[test]
fn versions_are_out_of_order() {
    expect(&[Anomaly::EventHole, Anomaly::EventOutOfOrder, Anomaly::EventHole], |events| {
        events[1] = told()[0].clone();
        events[0] = told()[1].clone();
        events[0].position = 0;
        events[2].position = 9;
    });
}

#[test]
fn positions_do_not_rise() {
    expect(&[Anomaly::EventOutOfOrder], |events| events[1].position = 1);
}

#[test]
fn an_event_comes_before_its_write() {
    expect(&[Anomaly::EventEarly], |events| events[1].time = 15);
}

#[test]
fn only_a_broker_may_repeat() {
    let twice = || {
        let mut events = told();
        events.insert(1, Event { time: 500, position: 7, ..told()[0].clone() });
        events
    };
    assert_eq!(found(&calls(), &[reader(Channel::Rabbitmq, twice())]), []);
    assert_eq!(found(&calls(), &[reader(Channel::Grpc, twice())]), [Anomaly::EventRepeated]);
    let mut other = twice();
    other[1].name = Some("z".into());
    assert_eq!(found(&calls(), &[reader(Channel::Rabbitmq, other)]), [Anomaly::EventDiffers]);
}

#[test]
fn readers_are_told_the_same() {
    let mut more = told();
    more.push(event(5, Change::Created, 8, 1, Some(("b-1", "c@x.io"))));
    let readers = [reader(Channel::Sse, told()), reader(Channel::Grpc, more)];
    assert_eq!(found(&calls(), &readers), [Anomaly::EventMissing]);
    let mut other = told();
    other[0].event_id = "other".into();
    assert_eq!(found(&calls(), &[reader(Channel::Sse, told()), reader(Channel::Grpc, other)]), [Anomaly::EventDiffers]);
}

/// User 7 is created, renamed by SQL, and then moved to another address.
fn renamed(moved: impl FnOnce(Operation) -> Call) -> History {
    history([
        call(0, 0, 10, create("a-1", "a@x.io"), is(7, 1, "a-1", "a@x.io")),
        call(1, 20, 30, rename_by_sql(7, "a-2"), is(7, 1, "a-2", "a@x.io")),
        call(2, 32, 38, get(7), is(7, 1, "a-2", "a@x.io")),
        moved(move_to(7, "b@x.io")),
        call(2, 60, 70, get(7), is(7, 2, "a-2", "b@x.io")),
    ])
}

#[test]
fn a_rename_by_sql_is_not_told() {
    let created = event(1, Change::Created, 7, 1, Some(("a-1", "a@x.io")));
    let moved = event(2, Change::Updated, 7, 2, Some(("a-2", "b@x.io")));
    let answered = renamed(|operation| call(0, 40, 50, operation, is(7, 2, "a-2", "b@x.io")));
    let unknown = renamed(|operation| lost(0, 40, operation));
    // The name that the user had before, and one that it never had.
    for (calls, wrong) in [(answered, "a-1"), (unknown, "b-1")] {
        let found = |events: [&Event; 2]| found(&calls, &[reader(Channel::Sse, events.map(Clone::clone).to_vec())]);
        assert_eq!(found([&created, &moved]), []);
        let other = Event { name: Some(wrong.into()), ..moved.clone() };
        assert!(found([&created, &other]).contains(&Anomaly::EventUnfounded));
        let rename = Event { email: Some("a@x.io".into()), ..moved.clone() };
        assert!(found([&created, &rename]).contains(&Anomaly::EventUnfounded));
        assert!(found([&moved, &created]).contains(&Anomaly::EventOutOfOrder));
    }
    let unseen = history([
        call(0, 0, 10, create("a-1", "a@x.io"), is(7, 1, "a-1", "a@x.io")),
        call(1, 20, 30, rename_by_sql(7, "a-2"), is(7, 1, "a-2", "a@x.io")),
    ]);
    let told = Event { email: Some("a@x.io".into()), ..moved.clone() };
    assert_eq!(found(&unseen, &[reader(Channel::Sse, vec![created.clone(), told])]), [Anomaly::EventUnfounded]);
    assert_eq!(found(&unseen, &[reader(Channel::Sse, vec![created])]), []);
}

#[test]
fn a_file_of_events_is_read() {
    let text = r#"{"reader":"sse-1","channel":"sse","position":1,"event_id":"e","type":"created","id":7,"version":1,"name":"a-1","email":"a@x.io","time":30}
{"reader":"mq","channel":"rabbitmq","position":1,"event_id":"e","type":"created","id":7,"version":1,"name":"a-1","email":"a@x.io","time":30}
{"reader":"sse-1","channel":"sse","position":2,"event_id":"f","type":"deleted","id":7,"version":2,"time":50}"#;
    let Readers(readers) = text.parse().unwrap();
    assert_eq!(Vec::from_iter(readers.iter().map(|reader| reader.events.len())), [2, 1]);
    assert_eq!(readers[0].events[1].change, Change::Deleted);
}

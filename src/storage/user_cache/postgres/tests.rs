use std::time::Instant;

use super::places::MAX_GAPS;
use super::*;
use crate::domain::{Email, Position, Timestamp, User, UserId, UserName, Version};
use crate::metrics::Metrics;

const SERVER: i64 = 5;
const LONG: Duration = Duration::from_mins(1);
/// The moment of a check is kept in whole microseconds.
const MICROSECOND: Duration = Duration::from_micros(1);

/// A cache, and what the log has at its highest place.
struct Bench {
    cache: PostgresCache,
    metrics: Metrics,
}

impl Bench {
    /// A cache that has started at place 10.
    fn new() -> Self {
        Self::with_staleness(Duration::ZERO)
    }

    fn with_staleness(max: Duration) -> Self {
        let metrics = Metrics::new("postgres").unwrap();
        let cache = PostgresCache::new(1 << 20, max, metrics.user_cache().clone()).unwrap();
        let bench = Self { cache, metrics };
        bench.start(10);
        bench
    }

    fn start(&self, place: i64) {
        self.cache.settle(&Settled { server: SERVER, place, salt: Some(salt(place)), pruned_to: 0 });
    }

    fn ticket(&self) -> Ticket {
        self.cache.ticket().expect("a ticket")
    }

    /// Takes in a statement that has read these events and rows.
    fn take_in(&self, ticket: &Ticket, events: Vec<TailEvent>, rows: &[User]) -> bool {
        let tail = tail(ticket, events);
        tail.changes_since(ticket).expect("the same log");
        self.cache.take_in(ticket, &tail, rows.iter().map(|user| Fill { key: id(user), user: Some(user) }))
    }

    fn version(&self, id: i64) -> Option<i64> {
        self.cache.get(LookupKey::Id(UserId::stored(id)))?.map(|user| user.version.0)
    }

    /// The version that a reader gets who asks nothing, and up to where it has read the log.
    fn recent(&self, id: i64, at_least: Option<i64>) -> Option<(Option<i64>, i64)> {
        let freshness = Freshness { at_least: at_least.map(Position), ..Freshness::default() };
        let found = self.cache.recent(LookupKey::Id(UserId::stored(id)), &freshness)?.found;
        assert!(found.age.is_some_and(|age| age <= LONG));
        Some((found.value.map(|user| user.version.0), found.position.0))
    }

    fn flushes(&self, reason: &str) -> bool {
        self.metrics.encode().contains(&format!("user_cache_flushes_total{{reason=\"{reason}\"}} 1"))
    }
}

const fn salt(place: i64) -> i64 {
    place * 1000
}

fn tail(ticket: &Ticket, events: Vec<TailEvent>) -> Tail {
    Tail { server: SERVER, pruned_to: 0, salt: Some(salt(ticket.highest())), events, is_cut: false }
}

/// An event whose writer did not know all columns.
fn event(place: i64, user: i64) -> TailEvent {
    told(place, user, TailChange::partly(Some(format!("{user}@x.co"))))
}

/// An event that has the whole user.
fn stored(place: i64, user: User) -> TailEvent {
    told(place, user.id.get(), TailChange::stored(user))
}

fn mark(place: i64) -> TailEvent {
    told(place, 0, TailChange::partly(None))
}

fn told(place: i64, user: i64, change: TailChange) -> TailEvent {
    TailEvent { place, salt: salt(place), user, change }
}

fn user(id: i64, version: i64) -> User {
    let now = Timestamp::from_unix_micros(0);
    let (name, email) = (UserName::stored(format!("User {id}")), Email::stored(format!("{id}@x.co")));
    let (id, version) = (UserId::stored(id), Version(version));
    User { id, name, email, version, created_at: now, updated_at: now, profile: None }
}

fn id(user: &User) -> LookupKey<'_> {
    LookupKey::Id(user.id)
}

#[test]
fn before_it_has_started_it_knows_nothing() {
    let metrics = Metrics::new("postgres").unwrap();
    let cache = PostgresCache::new(1 << 20, Duration::ZERO, metrics.user_cache().clone()).unwrap();
    assert!(cache.ticket().is_none() && cache.needs_settling());
    // Nothing says which log this is.
    cache.settle(&Settled { server: SERVER, place: 10, salt: None, pruned_to: 9 });
    assert!(cache.ticket().is_none());
    cache.settle(&Settled { server: SERVER, place: 10, salt: None, pruned_to: 10 });
    assert!(cache.ticket().is_some() && !cache.needs_settling());
    assert!(PostgresCache::new(0, Duration::ZERO, metrics.user_cache().clone()).is_none());
}

#[test]
fn an_event_evicts_the_user_it_is_about() {
    let bench = Bench::new();
    assert!(bench.take_in(&bench.ticket(), vec![], &[user(1, 1), user(2, 1)]));
    assert_eq!((bench.version(1), bench.version(2)), (Some(1), Some(1)));
    // The row is as of the same snapshot as the event.
    assert!(bench.take_in(&bench.ticket(), vec![event(11, 1), event(12, 3)], &[user(3, 7)]));
    assert_eq!((bench.version(1), bench.version(2), bench.version(3)), (None, Some(1), Some(7)));
    assert_eq!(bench.ticket().highest(), 12);
}

#[test]
fn an_event_evicts_that_nobody_has_the_address() {
    let bench = Bench::new();
    let key = Email::stored("1@X.co".into()).key();
    let nobody = || [Fill { key: LookupKey::Address(&key), user: None }];
    let ticket = bench.ticket();
    assert!(bench.cache.take_in(&ticket, &tail(&ticket, vec![]), nobody()));
    assert_eq!(bench.cache.get(LookupKey::Address(&key)), Some(None));
    let late = bench.ticket();
    assert!(bench.take_in(&bench.ticket(), vec![event(11, 1)], &[]));
    assert_eq!(bench.cache.get(LookupKey::Address(&key)), None);
    // Read before the event was committed.
    assert!(bench.cache.take_in(&late, &tail(&late, vec![]), nobody()));
    assert_eq!(bench.cache.get(LookupKey::Address(&key)), None);
}

#[test]
fn a_late_row_does_not_hide_a_newer_event() {
    let bench = Bench::new();
    let late = bench.ticket();
    assert!(bench.take_in(&bench.ticket(), vec![event(11, 1)], &[]));
    assert!(bench.take_in(&late, vec![], &[user(1, 1), user(2, 1)]));
    assert_eq!((bench.version(1), bench.version(2)), (None, Some(1)));
}

#[test]
fn an_event_that_has_the_whole_user_replaces_what_is_in_memory() {
    let bench = Bench::new();
    let late = bench.ticket();
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    bench.take_in(&bench.ticket(), vec![stored(11, user(1, 2)), stored(12, user(2, 1)), stored(13, user(1, 3))], &[]);
    assert_eq!((bench.version(1), bench.version(2)), (Some(3), None), "what is not in memory stays out");
    bench.take_in(&late, vec![], &[user(1, 1)]);
    assert_eq!(bench.version(1), Some(3));
    bench.take_in(&bench.ticket(), vec![told(14, 1, TailChange::Deleted)], &[]);
    assert_eq!(bench.version(1), None);
}

#[test]
fn an_event_that_fills_a_gap_may_be_older_than_what_is_in_memory() {
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![stored(12, user(1, 3))], &[user(1, 3)]);
    bench.take_in(&bench.ticket(), vec![stored(11, user(1, 2))], &[]);
    assert_eq!(bench.version(1), None);
}

#[test]
fn an_address_is_kept_while_events_leave_it() {
    let bench = Bench::new();
    let key = Email::stored("1@x.co".into()).key();
    let find = || bench.cache.get(LookupKey::Address(&key)).map(|known| known.map(|user| user.version.0));
    let ticket = bench.ticket();
    let found = user(1, 1);
    bench.cache.take_in(&ticket, &tail(&ticket, vec![]), [Fill { key: LookupKey::Address(&key), user: Some(&found) }]);
    assert_eq!(find(), Some(Some(1)));
    bench.take_in(&bench.ticket(), vec![stored(11, user(1, 2))], &[]);
    assert_eq!(find(), Some(Some(2)));
    let moved = User { email: Email::stored("other@x.co".into()), ..user(1, 3) };
    bench.take_in(&bench.ticket(), vec![stored(12, moved)], &[]);
    assert_eq!((find(), bench.version(1)), (None, Some(3)));
    // Moved back: but nobody knows whether the column has the plain key.
    bench.take_in(&bench.ticket(), vec![stored(13, user(1, 4))], &[]);
    assert_eq!((find(), bench.version(1)), (None, Some(4)));
}

#[test]
fn an_event_that_was_read_evicts_nothing_again() {
    let bench = Bench::new();
    let (first, second) = (bench.ticket(), bench.ticket());
    assert!(bench.take_in(&first, vec![event(11, 1)], &[user(1, 2)]));
    assert!(bench.take_in(&second, vec![event(11, 1)], &[]));
    assert_eq!(bench.version(1), Some(2));
}

#[test]
fn what_has_changed_since_the_ticket_is_told_by_the_event_or_asked_for_again() {
    let bench = Bench::new();
    let ticket = bench.ticket();
    let key = Email::stored("1@x.co".into()).key();
    let other = Email::stored("other@x.co".into()).key();
    let [one, two] = [user(1, 1), user(2, 1)].map(Some);
    let by_id = |id| LookupKey::Id(UserId::stored(id));
    let of = |events, key, known| tail(&ticket, events).changes_since(&ticket).unwrap().of(key, known);
    assert_eq!(of(vec![event(11, 1)], by_id(1), &None), Changed::Perhaps);
    assert_eq!(of(vec![event(11, 1)], by_id(2), &two), Changed::No);
    assert_eq!(of(vec![event(11, 1)], LookupKey::Address(&key), &None), Changed::Perhaps);
    assert_eq!(of(vec![event(11, 1)], LookupKey::Address(&key), &two), Changed::Perhaps);
    assert_eq!(of(vec![event(11, 1)], LookupKey::Address(&other), &one), Changed::Perhaps);
    assert_eq!(of(vec![event(11, 1)], LookupKey::Address(&other), &two), Changed::No);
    assert_eq!(of(vec![mark(11)], by_id(2), &two), Changed::Perhaps);
    // What the last event says.
    let events = || vec![stored(11, user(1, 2)), stored(12, user(1, 3))];
    assert_eq!(of(events(), by_id(1), &one), Changed::To(Some(user(1, 3))));
    assert_eq!(of(events(), LookupKey::Address(&key), &one), Changed::Perhaps);
    assert_eq!(of(vec![told(11, 1, TailChange::Deleted)], by_id(1), &one), Changed::To(None));
    // It fills a gap.
    assert_eq!(of(vec![stored(9, user(1, 1))], by_id(1), &one), Changed::Perhaps);
}

#[test]
fn a_gap_is_read_until_it_is_settled_for_a_later_statement() {
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![event(13, 1)], &[]);
    let before = bench.ticket();
    assert_eq!((before.gaps(), bench.cache.needs_settling()), (&[(11, 12)][..], true));
    bench.start(13);
    // This statement was sent before.
    assert!(bench.take_in(&before, vec![], &[]));
    let after = bench.ticket();
    assert_eq!(after.gaps(), [(11, 12)]);
    bench.take_in(&bench.ticket(), vec![], &[user(2, 1)]);
    assert!(bench.ticket().gaps().is_empty() && !bench.cache.needs_settling());
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![event(13, 1)], &[user(2, 1)]);
    bench.start(13);
    assert!(bench.take_in(&bench.ticket(), vec![event(12, 2)], &[]));
    assert_eq!((bench.version(2), bench.ticket().gaps().len()), (None, 0));
}

#[test]
fn a_tail_that_is_cut_settles_nothing() {
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![event(13, 1)], &[]);
    bench.start(13);
    let ticket = bench.ticket();
    let cut = Tail { is_cut: true, ..tail(&ticket, vec![event(14, 1)]) };
    assert!(bench.cache.take_in(&ticket, &cut, []));
    assert_eq!(bench.ticket().gaps(), [(11, 12)]);
}

#[test]
fn a_mark_drops_everything() {
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    let late = bench.ticket();
    bench.take_in(&bench.ticket(), vec![mark(11)], &[user(2, 1)]);
    assert_eq!((bench.version(1), bench.version(2)), (None, Some(1)));
    bench.take_in(&late, vec![], &[user(3, 1)]);
    assert_eq!(bench.version(3), None);
    assert!(bench.flushes("mark"));
}

#[test]
fn another_log_is_noticed() {
    let bench = Bench::new();
    let ticket = bench.ticket();
    let reason = |tail: Tail| tail.changes_since(&ticket).err().map(|reason| format!("{reason:?}"));
    assert_eq!(reason(tail(&ticket, vec![])), None);
    assert_eq!(reason(Tail { server: 6, ..tail(&ticket, vec![]) }).as_deref(), Some("Log"));
    assert_eq!(reason(Tail { salt: Some(1), ..tail(&ticket, vec![]) }).as_deref(), Some("Log"));
    assert_eq!(reason(Tail { salt: None, ..tail(&ticket, vec![]) }).as_deref(), Some("Log"));
    assert_eq!(reason(Tail { pruned_to: 11, ..tail(&ticket, vec![]) }).as_deref(), Some("Retention"));
    assert_eq!(reason(Tail { pruned_to: 10, salt: None, ..tail(&ticket, vec![]) }).as_deref(), Some("Retention"));
    assert_eq!(reason(Tail { pruned_to: 10, ..tail(&ticket, vec![]) }), None);
}

#[test]
fn events_pruned_within_a_gap_start_over() {
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![event(13, 1)], &[]);
    let ticket = bench.ticket();
    assert!(Tail { pruned_to: 11, ..tail(&ticket, vec![]) }.changes_since(&ticket).is_err());
    assert!(Tail { pruned_to: 10, ..tail(&ticket, vec![]) }.changes_since(&ticket).is_ok());
}

#[test]
fn starting_over_drops_everything_and_refuses_older_tickets() {
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    let old = bench.ticket();
    bench.cache.start_over(&bench.ticket(), Flush::Log);
    assert!(bench.cache.ticket().is_none() && bench.flushes("log"));
    assert!(!bench.take_in(&old, vec![], &[user(1, 1)]));
    bench.start(20);
    assert!(!bench.take_in(&old, vec![], &[user(1, 1)]));
    assert_eq!((bench.version(1), bench.ticket().highest()), (None, 20));
    // Who comes late does not start over what has started over.
    bench.cache.start_over(&old, Flush::Log);
    assert!(bench.cache.ticket().is_some());
}

#[test]
fn too_many_gaps_start_over() {
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    let events = (12..).step_by(2).take(MAX_GAPS + 1).map(|place| event(place, 9)).collect();
    assert!(!bench.take_in(&bench.ticket(), events, &[]));
    assert!(bench.cache.ticket().is_none() && bench.flushes("behind"));
}

#[test]
fn without_a_bound_nothing_is_answered_unasked() {
    let bench = Bench::new();
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    let more = Freshness { max_stale: Some(LONG), ..Freshness::default() };
    assert!(bench.cache.recent(LookupKey::Id(UserId::stored(1)), &more).is_none());
}

#[test]
fn an_answer_unasked_is_as_old_as_the_last_check_that_began() {
    let bench = Bench::with_staleness(LONG);
    assert_eq!(bench.recent(1, None), None, "there was no check");
    let early = bench.ticket();
    let before = Instant::now();
    let ticket = bench.ticket();
    bench.take_in(&ticket, vec![], &[user(1, 1)]);
    let found = bench.cache.recent(LookupKey::Id(UserId::stored(1)), &Freshness::default()).unwrap().found;
    assert!(found.age.unwrap() <= before.elapsed() + MICROSECOND);
    // One that has begun earlier and ends later changes nothing.
    bench.take_in(&early, vec![], &[]);
    let found = bench.cache.recent(LookupKey::Id(UserId::stored(1)), &Freshness::default()).unwrap().found;
    assert!(found.age.unwrap() <= before.elapsed() + MICROSECOND);
    assert_eq!((bench.recent(1, None), bench.recent(2, None)), (Some((Some(1), 10)), None));
    let now = Freshness { max_age: Some(Duration::from_nanos(1)), ..Freshness::default() };
    assert!(bench.cache.recent(LookupKey::Id(UserId::stored(1)), &now).is_none());
}

#[test]
fn a_check_that_is_cut_is_none() {
    let bench = Bench::with_staleness(LONG);
    let ticket = bench.ticket();
    let cut = Tail { is_cut: true, ..tail(&ticket, vec![event(11, 2)]) };
    let john = user(1, 1);
    assert!(bench.cache.take_in(&ticket, &cut, [Fill { key: id(&john), user: Some(&john) }]));
    assert_eq!(bench.recent(1, None), None);
}

/// The row shows events that the tail does not have yet: the next ones would put it back.
#[test]
fn a_row_beside_a_tail_that_is_cut_is_not_kept() {
    let bench = Bench::with_staleness(LONG);
    bench.take_in(&bench.ticket(), vec![], &[user(2, 1)]);
    let ticket = bench.ticket();
    let cut = Tail { is_cut: true, ..tail(&ticket, vec![event(11, 2)]) };
    let newest = user(1, 9);
    assert!(bench.cache.take_in(&ticket, &cut, [Fill { key: id(&newest), user: Some(&newest) }]));
    assert_eq!(bench.version(1), None);
}

#[test]
fn one_reader_at_a_time_refreshes() {
    let bench = Bench::with_staleness(Duration::from_nanos(2));
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    let more = Freshness { max_stale: Some(LONG), ..Freshness::default() };
    let refresh = || bench.cache.recent(LookupKey::Id(UserId::stored(1)), &more).unwrap().refresh;
    std::thread::sleep(MICROSECOND);
    let first = refresh();
    assert!(first.is_some() && refresh().is_none());
    drop(first);
    assert!(refresh().is_some());
}

#[test]
fn an_answer_unasked_shows_a_position_only_below_all_gaps() {
    let bench = Bench::with_staleness(LONG);
    bench.take_in(&bench.ticket(), vec![event(13, 2)], &[user(1, 1)]);
    assert_eq!(bench.recent(1, Some(10)), Some((Some(1), 13)));
    assert_eq!((bench.recent(1, Some(11)), bench.recent(1, Some(13))), (None, None));
    bench.take_in(&bench.ticket(), vec![event(11, 2), event(12, 2)], &[]);
    assert_eq!((bench.recent(1, Some(13)), bench.recent(1, Some(14))), (Some((Some(1), 13)), None));
}

#[test]
fn an_own_write_is_seen_and_no_late_row_hides_it() {
    let bench = Bench::with_staleness(LONG);
    let key = Email::stored("2@x.co".into()).key();
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    let ticket = bench.ticket();
    bench.cache.take_in(&ticket, &tail(&ticket, vec![]), [Fill { key: LookupKey::Address(&key), user: None }]);
    let late = bench.ticket();
    bench.cache.written([(Some(UserId::stored(1)), Some(&key))]);
    assert_eq!((bench.recent(1, None), bench.cache.get(LookupKey::Address(&key))), (None, None));
    bench.cache.take_in(&late, &tail(&late, vec![]), [Fill { key: LookupKey::Address(&key), user: None }]);
    bench.take_in(&late, vec![], &[user(1, 1)]);
    assert_eq!((bench.recent(1, None), bench.cache.get(LookupKey::Address(&key))), (None, None));
    bench.take_in(&bench.ticket(), vec![stored(11, user(1, 2))], &[user(1, 2)]);
    assert_eq!(bench.recent(1, None), Some((Some(2), 11)));
}

#[test]
fn starting_over_ends_answers_unasked() {
    let bench = Bench::with_staleness(LONG);
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    bench.cache.start_over(&bench.ticket(), Flush::Log);
    bench.start(5);
    assert_eq!(bench.recent(1, None), None);
    bench.take_in(&bench.ticket(), vec![], &[user(1, 1)]);
    assert_eq!((bench.recent(1, Some(5)), bench.recent(1, Some(10))), (Some((Some(1), 5)), None));
}

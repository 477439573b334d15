use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::domain::{Email, Timestamp, User, UserId, UserName, Version};
use crate::metrics::Metrics;

/// A database with its cache, and two connections: this process's, and another's.
struct Bench {
    cache: SqliteCache,
    metrics: Metrics,
    own: SqliteConnection,
    other: SqliteConnection,
    folder: TempDir,
}

const ID: UserId = UserId::stored(7);
const WRITE: &str = "INSERT INTO t VALUES (1)";

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let connect = || SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        let (mut own, other) = (connect(), connect());
        own.batch_execute("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
        let metrics = Metrics::new("sqlite").unwrap();
        let cache = SqliteCache::new(1 << 20, metrics.user_cache().clone()).unwrap();
        cache.attach(&folder.path().join("db-shm")).unwrap();
        Self { cache, metrics, own, other, folder }
    }

    /// Looks up the user, and takes in this answer of the database if it is not known.
    fn read(&self, answer: Option<User>) -> Option<User> {
        match self.get() {
            Cached::Known(found) => found.value,
            Cached::Unknown(ticket) => {
                self.fill(ticket.unwrap(), answer.clone());
                answer
            }
        }
    }

    fn get(&self) -> Cached {
        self.cache.get(LookupKey::Id(ID))
    }

    fn fill(&self, ticket: Ticket, answer: Option<User>) {
        self.cache.fill(ticket, LookupKey::Id(ID), &at_version(answer));
    }

    fn ticket(&self) -> Ticket {
        let Cached::Unknown(Some(ticket)) = self.get() else { panic!("no ticket") };
        ticket
    }

    /// Commits an update of the user by this process. `between` runs between the commit and its taking in.
    fn update(&mut self, version: i64, between: impl FnOnce(&mut Self)) {
        self.own.batch_execute("BEGIN IMMEDIATE").unwrap();
        let commit = self.cache.begin_commit().unwrap();
        self.own.batch_execute(&format!("{WRITE}; COMMIT")).unwrap();
        between(self);
        let change = UserChange::Stored { user: &user(version), email_key: None, is_new: false };
        commit.take_in([change], Some(Position(version)));
    }

    /// Commits changes by this process.
    fn commit<const N: usize>(&mut self, changes: [UserChange<'_>; N]) {
        self.own.batch_execute("BEGIN IMMEDIATE").unwrap();
        let commit = self.cache.begin_commit().unwrap();
        self.own.batch_execute(&format!("{WRITE}; COMMIT")).unwrap();
        commit.take_in(changes, None);
    }

    fn flushes(&self) -> usize {
        let text = self.metrics.encode();
        let count = text.lines().find_map(|line| line.strip_prefix("user_cache_flushes_total{reason=\"commit\"} "));
        count.unwrap().parse().unwrap()
    }
}

fn user(version: i64) -> User {
    let (now, name) = (Timestamp::from_unix_micros(0), UserName::stored("Ann".into()));
    let email = Email::stored("ann@example.com".into());
    User { id: ID, name, email, version: Version(version), created_at: now, updated_at: now, profile: None }
}

/// An answer as of a log that ends where the user has got this version.
fn at_version(user: Option<User>) -> AsOf<Known> {
    let end = user.as_ref().map_or(0, |user| user.version.0);
    AsOf::latest(user, Position(end))
}

fn known(user: Option<User>) -> Cached {
    Cached::Known(at_version(user))
}

#[test]
fn the_number_of_users_follows_own_commits_until_somebody_else_commits() {
    let mut bench = Bench::new();
    let Counted::Unknown(Some(ticket)) = bench.cache.count() else { panic!("nobody has counted") };
    bench.cache.fill_count(ticket, 5, Position(3));
    assert_eq!(bench.cache.count(), Counted::Known(5));
    let other_id = UserId::stored(8);
    let new = user(1);
    let created = || UserChange::Stored { user: &new, email_key: None, is_new: true };
    bench.commit([created(), created(), UserChange::Deleted(other_id), created()]);
    bench.update(2, |_| {});
    assert_eq!(bench.cache.count(), Counted::Known(7));
    bench.other.batch_execute(WRITE).unwrap();
    let Counted::Unknown(Some(ticket)) = bench.cache.count() else { panic!("somebody has committed") };
    bench.other.batch_execute(WRITE).unwrap();
    bench.cache.fill_count(ticket, 7, Position(4));
    assert!(matches!(bench.cache.count(), Counted::Unknown(_)), "the answer is late");
}

#[test]
fn what_was_read_is_known_until_somebody_commits() {
    let mut bench = Bench::new();
    assert_eq!(bench.read(Some(user(1))), Some(user(1)));
    assert_eq!(bench.get(), known(Some(user(1))));
    bench.other.batch_execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(bench.get(), known(Some(user(1))), "nothing is committed");
    bench.other.batch_execute("COMMIT").unwrap();
    assert!(matches!(bench.get(), Cached::Unknown(Some(_))));
    assert_eq!((bench.read(None), bench.flushes()), (None, 1));
    assert_eq!(bench.get(), known(None));
}

#[test]
fn a_commit_of_this_process_is_taken_in() {
    let mut bench = Bench::new();
    bench.read(Some(user(1)));
    for version in 2..100 {
        bench.update(version, |_| {});
        assert_eq!(bench.get(), known(Some(user(version))));
    }
    assert_eq!(bench.flushes(), 0);
}

#[test]
fn until_a_commit_is_taken_in_readers_ask_the_database() {
    let mut bench = Bench::new();
    bench.read(Some(user(1)));
    bench.update(2, |bench| assert_eq!(bench.get(), Cached::Unknown(None)));
    assert_eq!((bench.get(), bench.flushes()), (known(Some(user(2))), 0));
}

#[test]
fn another_commit_right_after_is_not_taken_for_the_own() {
    let mut bench = Bench::new();
    bench.read(Some(user(1)));
    bench.update(2, |bench| bench.other.batch_execute(WRITE).unwrap());
    assert!(matches!(bench.get(), Cached::Unknown(Some(_))));
    assert_eq!(bench.flushes(), 1);
}

#[test]
fn another_commit_before_is_not_passed_over() {
    let mut bench = Bench::new();
    bench.read(Some(user(1)));
    bench.other.batch_execute(WRITE).unwrap();
    bench.update(2, |_| {});
    assert!(matches!(bench.get(), Cached::Unknown(Some(_))));
}

#[test]
fn a_commit_without_an_end_is_found_later() {
    let mut bench = Bench::new();
    bench.read(Some(user(1)));
    let commit = bench.cache.begin_commit().unwrap();
    assert_eq!(bench.get(), known(Some(user(1))));
    bench.own.batch_execute(WRITE).unwrap();
    drop(commit);
    assert!(matches!(bench.get(), Cached::Unknown(Some(_))));
    // Rolled back.
    bench.read(Some(user(2)));
    bench.own.batch_execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    drop(bench.cache.begin_commit().unwrap());
    bench.own.batch_execute("ROLLBACK").unwrap();
    assert_eq!(bench.get(), known(Some(user(2))));
}

#[test]
fn a_late_answer_is_not_taken_in() {
    let mut bench = Bench::new();
    let ticket = bench.ticket();
    bench.update(2, |bench| bench.fill(ticket, Some(user(1))));
    assert!(matches!(bench.get(), Cached::Unknown(Some(_))));
    bench.fill(ticket, Some(user(1)));
    assert!(matches!(bench.get(), Cached::Unknown(Some(_))));
    let ticket = bench.ticket();
    bench.other.batch_execute(WRITE).unwrap();
    bench.fill(ticket, Some(user(2)));
    bench.cache.fill(ticket, LookupKey::Address(&user(2).email.key()), &at_version(Some(user(2))));
    let late = bench.ticket();
    bench.fill(ticket, Some(user(2)));
    assert!(matches!(bench.get(), Cached::Unknown(Some(_))));
    bench.fill(late, Some(user(3)));
    assert_eq!(bench.get(), known(Some(user(3))));
}

#[test]
fn a_detached_cache_knows_nothing() {
    let mut bench = Bench::new();
    bench.read(Some(user(1)));
    let ticket = bench.cache.0.last_commit().map(Ticket).unwrap();
    bench.cache.detach();
    assert_eq!((bench.get(), bench.cache.entries().count()), (Cached::Unknown(None), 0));
    bench.fill(ticket, Some(user(1)));
    assert_eq!(bench.get(), Cached::Unknown(None));
    assert!(bench.cache.begin_commit().is_none());
    bench.cache.attach(&bench.folder.path().join("db-shm")).unwrap();
    bench.read(Some(user(1)));
    bench.update(2, |_| {});
    assert_eq!(bench.get(), known(Some(user(2))));
}

/// As on a file system where what is mapped is not what is read.
#[test]
fn a_commit_that_does_not_show_turns_the_cache_off() {
    let bench = Bench::new();
    bench.read(Some(user(1)));
    bench.cache.begin_commit().unwrap().take_in([UserChange::Deleted(ID)], None);
    assert_eq!((bench.get(), bench.cache.entries().count()), (Cached::Unknown(None), 0));
    assert!(matches!(bench.cache.attach(&bench.folder.path().join("db-shm")), Err(Unreadable::Untrue)));
}

#[test]
fn without_memory_there_is_no_cache() {
    assert!(SqliteCache::new(0, Metrics::new("sqlite").unwrap().user_cache().clone()).is_none());
}

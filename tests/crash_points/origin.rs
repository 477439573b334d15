use std::cell::RefCell;
use std::fs;
use std::mem;
use std::path::Path;

use diesel_migrations::{FileBasedMigrations, MigrationHarness as _};
use user_service_checker::events::{Change, Event};
use user_service_checker::{Call, Operation, Outcome, Protocol, User};

use crate::client::{Clients, Record};
use crate::clock::now;
use crate::group::Group;
use crate::point::{File, Phase};
use crate::rows::{FILLER, LogRow, Rows};
use crate::support::{Connection, Database, Db, Program, Server};
use crate::workload;

/// Clients share a group in pairs, so that they collide.
pub const GROUPS: usize = 3;
/// What the names of the users of the first release begin with.
pub const OLD: &str = "old-";
/// The one of them whose name has another key since then.
pub const DECOMPOSED: u64 = 31;
const OLD_USERS: u64 = 30;
/// More than pruning deletes in two transactions.
const FILLERS: u64 = 2_100;
/// A frame of the log is a page and its header.
const FRAME: u64 = 4096 + 24;
/// SQLite writes its log into the database when it has 1,000 frames: so many before that a trial begins.
const FRAMES: u64 = 940;

/// Where the trials of a phase begin: files, and what clients know of them.
pub struct Origin {
    pub phase: Phase,
    database: Database,
    pub groups: Vec<Group>,
    pub calls: Vec<Call>,
    /// The changes until then.
    pub events: Vec<Event>,
    /// How many of those a release without events has made.
    pub behind: u64,
    /// The log until then.
    pub log: Vec<LogRow>,
    /// The schema that all migrations make.
    pub schema: Vec<String>,
}

/// Makes the files of a phase.
pub async fn make(phase: Phase, seed: u64) -> Origin {
    let mut origin = Origin {
        phase,
        database: Db::Sqlite.fresh(),
        groups: (1..=GROUPS).map(Group::new).collect(),
        calls: Vec::new(),
        events: Vec::new(),
        behind: 0,
        log: Vec::new(),
        schema: migrated_schema(),
    };
    match phase {
        Phase::Create => {}
        Phase::Upgrade => origin.release_one(),
        Phase::Changes => {
            origin.live(seed, FRAMES).await;
            origin.read();
        }
        Phase::Pruning => {
            origin.database.program().args(["migrate"]).run().succeeded();
            origin.database.connect().run(&format!(
                "INSERT INTO events (kind, user_id, version, occurred_at, salt)
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {FILLERS})
                SELECT 3, {FILLER} + n, 2, CURRENT_TIMESTAMP, n FROM numbers"
            ));
            origin.live(seed, 0).await;
            origin.database.connect().run("UPDATE events SET occurred_at = '2020-01-01 00:00:00.000000'");
            origin.read();
        }
    }
    origin
}

impl Origin {
    /// Puts the files there.
    pub fn copy_to(&self, database: &Database) {
        copy(&self.database.file(), &database.file());
    }

    /// The program, as it is to run on a copy.
    pub fn program(&self, database: &Database) -> Program {
        match self.phase {
            Phase::Pruning => database.program().env("EVENTS_RETENTION", "1m"),
            _ => database.program(),
        }
    }

    /// The place of its last event in the log.
    pub fn last(&self) -> u64 {
        self.log.last().map_or(0, |row| row.id)
    }

    /// Has clients change users until SQLite's log is so long, and kills the service.
    async fn live(&mut self, seed: u64, frames: u64) {
        let mut server = Server::listening(self.database.program());
        server.ready().await;
        let record = Record::default();
        let groups = Vec::from_iter(mem::take(&mut self.groups).into_iter().map(RefCell::new));
        workload::run_clients(&server, &groups, &record, None, seed.wrapping_add(1_000)).await;
        self.groups = groups.into_iter().map(RefCell::into_inner).collect();
        fill(&Clients::of(server.address(), &record, false), &File::Wal.path(&self.database.file()), frames).await;
        server.kill();
        assert_eq!(*record.objections.borrow(), Vec::<String>::new());
        self.calls = record.calls.into_inner();
    }

    /// Reads a copy: who opens the files recovers them, and who closes them writes the log into the database.
    fn read(&mut self) {
        let copied = Db::Sqlite.fresh();
        self.copy_to(&copied);
        self.log = Rows::read(&mut copied.connect()).log;
        self.events = self.log.iter().filter_map(|row| row.event(0)).collect();
    }

    /// Makes a database of the first release, whose users nobody has told of, and leaves its newest changes in the log.
    fn release_one(&mut self) {
        let made = Db::Sqlite.fresh();
        let mut connection = made.connect();
        connection.run("PRAGMA journal_mode = WAL");
        let Connection::Sqlite(sqlite) = &mut connection else { panic!("asked for SQLite") };
        let migrations = FileBasedMigrations::from_path(Db::Sqlite.migrations()).expect("migrations");
        sqlite.run_next_migration(migrations).expect("the first migration");
        for id in 1..=OLD_USERS {
            self.old_user(&mut connection, id, &format!("{OLD}{id}"));
        }
        self.old_user(&mut connection, DECOMPOSED, &format!("{OLD}jose\u{301}"));
        self.behind = DECOMPOSED;
        copy(&made.file(), &self.database.file());
    }

    fn old_user(&mut self, connection: &mut Connection, id: u64, name: &str) {
        let email = format!("{OLD}{id}@example.com");
        connection.run(&format!(
            "INSERT INTO users (name, name_key, email, email_key, version, created_at, updated_at) VALUES
             ('{name}', '{name}', '{email}', '{email}', 1, '2026-01-31 12:00:00.000001', '2026-01-31 12:00:00.000001')"
        ));
        let start = now();
        let name = name.to_owned();
        self.calls.push(Call {
            client: 0,
            protocol: Protocol::Rest,
            operation: Operation::Create { name: name.clone(), email: email.clone() },
            start,
            end: Some(now()),
            outcome: Outcome::User(User { id, name: name.clone(), email: email.clone(), version: 1 }),
        });
        self.events.push(Event {
            position: id,
            event_id: format!("old-{id}"),
            change: Change::Created,
            id,
            version: 1,
            name: Some(name),
            email: Some(email),
            time: now(),
        });
    }
}

fn migrated_schema() -> Vec<String> {
    let database = Db::Sqlite.fresh();
    database.program().args(["migrate"]).run().succeeded();
    Rows::read(&mut database.connect()).schema
}

/// Changes one more user until SQLite's log has so many frames.
async fn fill(clients: &Clients<'_>, wal: &Path, frames: u64) {
    let create = |_| Operation::Create { name: "fill-0".to_owned(), email: "fill@example.com".to_owned() };
    let created = clients.insist(create).await.expect("a user");
    let Outcome::User(User { id, .. }) = created.outcome else { panic!("{created}") };
    for number in 1.. {
        if fs::metadata(wal).is_ok_and(|wal| wal.len() >= frames * FRAME) {
            return;
        }
        let patch = |_| Operation::Patch { id, name: Some(format!("fill-{number}")), email: None, if_match: None };
        clients.insist(patch).await.expect("a change");
    }
}

/// Copies all files of a database that exist.
pub fn copy(from: &Path, to: &Path) {
    for file in File::ALL.into_iter().filter(|file| *file != File::Folder) {
        let from = file.path(from);
        if from.exists() {
            fs::copy(&from, file.path(to)).expect("the file is copied");
        }
    }
}

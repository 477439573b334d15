use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use user_service_checker::User;
use user_service_checker::events::{Change, Event};

use crate::clock::now;
use crate::support::Connection;

/// Events of users with ids from here on are there to be pruned, and tell of nobody.
pub const FILLER: u64 = 1_000_000;

/// What a database holds.
pub struct Rows {
    pub users: BTreeMap<u64, User>,
    pub log: Vec<LogRow>,
    pub pruned_to: u64,
    /// The statements that make the tables, the indexes and the trigger, and the versions of the migrations that ran.
    pub schema: Vec<String>,
}

/// A row of the log of events.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LogRow {
    pub id: u64,
    pub kind: u8,
    pub user_id: u64,
    pub version: u64,
    pub name: Option<String>,
    pub email: Option<String>,
    pub created_at: Option<String>,
    pub occurred_at: String,
    pub salt: i64,
}

impl Rows {
    pub fn read(connection: &mut Connection) -> Self {
        let users: Vec<User> = objects(
            connection,
            "SELECT json_object('id', id, 'name', name, 'email', email, 'version', version) AS fact FROM users",
        );
        let log = objects(
            connection,
            "SELECT json_object('id', id, 'kind', kind, 'user_id', user_id, 'version', version, 'name', name, 'email', email,
             'created_at', created_at, 'occurred_at', occurred_at, 'salt', salt) AS fact FROM events ORDER BY id",
        );
        let schema = connection.facts(
            "SELECT coalesce(sql, name) AS fact FROM sqlite_schema
             UNION ALL SELECT version FROM __diesel_schema_migrations ORDER BY fact",
        );
        let pruned_to = connection.facts("SELECT CAST(pruned_to AS TEXT) AS fact FROM event_log");
        let [pruned_to] = &pruned_to[..] else { panic!("one row in event_log: {pruned_to:?}") };
        Self {
            users: users.into_iter().map(|user| (user.id, user)).collect(),
            log,
            pruned_to: pruned_to.parse().expect("a number"),
            schema,
        }
    }
}

impl LogRow {
    /// The event, behind so many of an earlier release, which has recorded none. `None` of a filler.
    pub fn event(&self, behind: u64) -> Option<Event> {
        (self.user_id < FILLER).then(|| Event {
            position: behind + self.id,
            event_id: format!("{}-{}", self.id, self.salt),
            change: match self.kind {
                1 => Change::Created,
                2 => Change::Updated,
                3 => Change::Deleted,
                kind => panic!("{kind} is no kind of event"),
            },
            id: self.user_id,
            version: self.version,
            name: self.name.clone(),
            email: self.email.clone(),
            time: now(),
        })
    }
}

/// The rows of a query that makes a JSON object of each.
fn objects<T: DeserializeOwned>(connection: &mut Connection, sql: &str) -> Vec<T> {
    let rows = connection.facts(sql);
    rows.iter().map(|row| serde_json::from_str(row).unwrap_or_else(|error| panic!("{row}: {error}"))).collect()
}

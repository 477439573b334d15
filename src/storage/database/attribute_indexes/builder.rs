//! The thread that builds indexes on PostgreSQL, on connections of its own: an index of many users takes minutes.
//!
//! One builder at a time in the whole database: two that build indexes of one table wait for each other, until the
//! database ends one of them. The lock belongs to an open transaction rather than to a session, so it works behind a pooler; it
//! is only tried for, because a statement that waits for it would be one that a build has to wait for.
//!
//! A build that was cut off leaves an invalid index, which is built anew. But the server may still be at work for a process that
//! has died; then the builder waits.

use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::{AttributeIndexes, postgres};
use crate::domain::AttributeName;
use crate::storage::database::connection::postgres::open_for_long_statements;
use crate::storage::database::settings::Settings;
use crate::storage::database::settings::database_url::DatabaseUrl;

/// The advisory lock under which indexes are built. Any number that nothing else in the database uses.
const LOCK: i64 = 0x7573_6572_735f_6978;

/// How often the builder looks whether there is something to do.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long it waits while another one builds, and after a failure. After each further one twice as long, up to a limit.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// Why an index could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("{0}")]
    Refused(#[from] diesel::result::Error),
    #[error("this is no PostgreSQL")]
    NoPostgres,
    /// A pooler ignores what a connection asks for.
    #[error(
        "statements time out after {0}; run `user-service index-attributes` with a URL that leads to PostgreSQL itself"
    )]
    Timeout(String),
}

/// Ends the thread when it is dropped. Does not wait for it: the server finishes an index that it has begun.
pub(crate) struct Handle {
    _stop: Sender<()>,
}

/// Starts the thread, if there is something for it to do. It begins once `is_migrated` says so: before that, what the
/// indexes are made of is missing.
pub(crate) fn spawn(
    settings: &Settings,
    indexes: AttributeIndexes,
    is_migrated: impl Fn() -> bool + Send + 'static,
) -> std::io::Result<Option<Handle>> {
    if !settings.builds_indexes || settings.attributes_indexed.is_empty() || !settings.url.is_postgres() {
        return Ok(None);
    }
    let (stop, stopped) = bounded(0);
    let settings = settings.clone();
    let work = move || {
        let mut pause = INTERVAL;
        let mut last_error: Option<String> = None;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            if !is_migrated() || indexes.are_complete() {
                pause = INTERVAL;
                continue;
            }
            let error = build_missing(&settings).err().map(|error| error.to_string());
            // Each try reads all users. Another builder takes as long as it takes.
            pause = if error.is_some() { (pause * 2).clamp(PAUSE, LONGEST_PAUSE) } else { PAUSE };
            if let Some(news) = error.as_ref().filter(|error| last_error.as_ref() != Some(error)) {
                log::error!("cannot build an index of attributes: {news}");
            }
            last_error = error;
        }
    };
    std::thread::Builder::new().name("indexes".to_owned()).spawn(work)?;
    Ok(Some(Handle { _stop: stop }))
}

/// Builds all indexes that the settings name and that are missing. Does nothing if another builder is at work.
pub(super) fn build_missing(settings: &Settings) -> Result<(), BuildError> {
    let build_each = |connection: &mut PgConnection| {
        // One that cannot be built is not in the way of the others.
        let built = Vec::from_iter(settings.attributes_indexed.iter().map(|name| build(connection, name)));
        built.into_iter().collect::<QueryResult<Vec<()>>>()
    };
    alone(settings, build_each).map(drop)
}

/// Works on indexes while no other process does. Returns `None` if another one is at work.
pub(super) fn alone<T>(
    settings: &Settings,
    work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
) -> Result<Option<T>, BuildError> {
    let DatabaseUrl::Postgres(url) = &settings.url else { return Err(BuildError::NoPostgres) };
    let connect = || open_for_long_statements(url, settings.deadline);
    let mut lock = connect()?;
    // At a stricter level, which may be the database's default, an open transaction keeps its snapshot.
    lock.build_transaction().read_committed().run(|lock| {
        let is_mine = sql::<Bool>(&format!("pg_try_advisory_xact_lock({LOCK})"));
        if !diesel::select(is_mine).get_result(lock)? {
            return Ok(None);
        }
        // A simple query closes the one before, whose snapshot a build would wait for.
        lock.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0")?;
        let mut connection = connect()?;
        let timeout: String =
            diesel::select(sql::<Text>("current_setting('statement_timeout')")).get_result(&mut connection)?;
        if timeout != "0" {
            return Err(BuildError::Timeout(timeout));
        }
        if postgres::is_busy(&mut connection)? { Ok(None) } else { Ok(Some(work(&mut connection)?)) }
    })
}

/// The state is read after it is known that nobody is at work: a build whose process has died may have just ended.
fn build(connection: &mut PgConnection, name: &AttributeName) -> QueryResult<()> {
    let states = postgres::states(connection)?;
    if states.of(name).is_complete() {
        return Ok(());
    }
    if states.is_invalid(name) {
        postgres::drop_invalid(connection, name)?;
    }
    log::info!("building the index of the attribute {name}");
    postgres::build(connection, name)
}

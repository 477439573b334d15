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
use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::{AttributeIndexes, postgres};
use crate::domain::AttributeName;
use crate::storage::database::connection::postgres::open_for_long_statements;
use crate::storage::database::settings::Settings;
use crate::storage::database::settings::database_url::DatabaseUrl;

/// The advisory lock under which indexes are built. Any number that nothing else in the database uses.
const LOCK: i64 = 0x7573_6572_735f_6978;

/// How often the builder looks whether there is something to do.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// Why an index could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("{0}")]
    Refused(#[from] diesel::result::Error),
    #[error("this is no PostgreSQL")]
    NoPostgres,
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
                continue;
            }
            let error = build_missing(&settings).err().map(|error| error.to_string());
            pause = if error.is_some() { PAUSE } else { INTERVAL };
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
    let build_each =
        |connection: &mut PgConnection| settings.attributes_indexed.iter().try_for_each(|name| build(connection, name));
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
    lock.transaction(|lock| {
        let is_mine = sql::<Bool>(&format!("pg_try_advisory_xact_lock({LOCK})"));
        if !diesel::select(is_mine).get_result(lock)? {
            return Ok(None);
        }
        // A simple query closes the one before, whose snapshot a build would wait for.
        lock.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0")?;
        Ok(Some(work(&mut connect()?)?))
    })
}

fn build(connection: &mut PgConnection, name: &AttributeName) -> QueryResult<()> {
    let states = postgres::states(connection)?;
    if states.of(name).is_complete() || postgres::is_building(connection)? {
        return Ok(());
    }
    if states.is_invalid(name) {
        postgres::drop_invalid(connection, name)?;
    }
    log::info!("building the index of the attribute {name}");
    postgres::build(connection, name)
}

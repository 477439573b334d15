//! The schema's migrations, embedded in the binary; one folder per database, with the same names.
//!
//! All pending migrations run in one transaction, under one lock: all or none. The lock is `pg_advisory_xact_lock` on
//! PostgreSQL and the write lock on SQLite. So replicas may start together: one migrates, the others wait and find
//! nothing to do. The lock belongs to the transaction, not to the session, so it works behind a pooler. `SET LOCAL`
//! raises the statement timeout to ten minutes. A lock on a table is waited for two seconds at a time, because a
//! waiting lock request blocks everyone who comes after it. See migrations/README.md.

use diesel::backend::Backend;
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use diesel::{Connection as _, QueryResult};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::settings::Settings;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock under which replicas migrate. Any number that nothing else in the database uses.
const LOCK: i64 = 0x7573_6572_735f_6462;

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("migrating failed: {0}")]
    Migrate(Box<dyn std::error::Error + Send + Sync>),
    #[error("migrating failed: {0}")]
    Transaction(#[from] diesel::result::Error),
}

/// Runs the pending migrations on a separate connection, and returns their names.
///
/// # Errors
/// When the database cannot be reached or refuses; then no migration was applied.
pub fn migrate(settings: &Settings) -> Result<Vec<String>, MigrateError> {
    run(&mut Connection::open(&settings.url, settings.deadline)?)
}

/// Runs the pending migrations, all or none, and returns their names.
pub(crate) fn run(connection: &mut Connection) -> Result<Vec<String>, MigrateError> {
    // Without pending migrations no lock is taken, so a role that may not create tables can start the service.
    if !pending(connection)? {
        return Ok(Vec::new());
    }
    match connection {
        Connection::Sqlite(sqlite, _) => sqlite.immediate_transaction(|sqlite| run_all(sqlite, SQLITE)),
        Connection::Postgres(postgres, _) => postgres.transaction(|postgres| {
            // A migration may take longer than a request, and so may the wait for another replica's. But while a change
            // to a table waits for a lock, it blocks all later statements, so that wait is short and the migration is
            // retried.
            postgres.batch_execute(&format!(
                "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '10min';
                 SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout = '2s';"
            ))?;
            run_all(postgres, POSTGRES)
        }),
    }
}

fn run_all<C, B>(connection: &mut C, migrations: EmbeddedMigrations) -> Result<Vec<String>, MigrateError>
where
    C: MigrationHarness<B>,
    B: Backend,
{
    let pending = connection.pending_migrations(migrations).map_err(MigrateError::Migrate)?;
    for migration in &pending {
        connection.run_migration(migration).map_err(MigrateError::Migrate)?;
    }
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

diesel::table! {
    /// Diesel's own table. Diesel creates it with the first migration.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// Whether migrations are pending. Only reads: Diesel's own check would create its table first.
pub(crate) fn pending(connection: &mut Connection) -> Result<bool, MigrateError> {
    let known = match connection {
        Connection::Sqlite(..) => versions::<Sqlite>(&SQLITE),
        Connection::Postgres(..) => versions::<Pg>(&POSTGRES),
    }?;
    if !has_applied_any(connection)? {
        return Ok(true);
    }
    let applied: Vec<String> = on_backend!(connection, |connection| {
        __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(connection)
    })?;
    Ok(known.iter().any(|version| !applied.contains(version)))
}

fn versions<B: Backend>(migrations: &EmbeddedMigrations) -> Result<Vec<String>, MigrateError> {
    let migrations = MigrationSource::<B>::migrations(migrations).map_err(MigrateError::Migrate)?;
    Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// Whether Diesel's table exists. SQL text, because Diesel knows no catalogues.
fn has_applied_any(connection: &mut Connection) -> QueryResult<bool> {
    match connection {
        Connection::Sqlite(sqlite, _) => diesel::select(sql::<Bool>(
            "EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '__diesel_schema_migrations')",
        ))
        .get_result(sqlite),
        Connection::Postgres(postgres, _) => {
            diesel::select(sql::<Bool>("to_regclass('__diesel_schema_migrations') IS NOT NULL")).get_result(postgres)
        }
    }
}

//! The schema's migrations, embedded in the binary; one folder a database, with the same names.

use diesel::Connection as _;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::Settings;
use super::connection::Connection;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The lock that replicas starting together take turns by; any number that nothing else in the database uses.
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

/// Runs the pending migrations on a connection of its own, and returns their names.
///
/// # Errors
/// When the database cannot be reached or refuses; then no migration was applied.
pub fn migrate(settings: &Settings) -> Result<Vec<String>, MigrateError> {
    run(&mut Connection::open(&settings.url, settings.deadline)?)
}

/// Runs the pending migrations, all or none, and returns their names.
///
/// Everything happens inside one transaction under one lock, so that replicas may start together. The lock is the
/// transaction's, not the session's: that works through a pooler in transaction mode too.
pub(super) fn run(connection: &mut Connection) -> Result<Vec<String>, MigrateError> {
    match connection {
        Connection::Sqlite(sqlite) => sqlite.immediate_transaction(|sqlite| run_all(sqlite, SQLITE)),
        Connection::Postgres(postgres) => postgres.transaction(|postgres| {
            use diesel::connection::SimpleConnection as _;
            // A migration may take longer than a request, and so may the wait for another replica's.
            postgres.batch_execute(&format!(
                "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '10min';
                 SELECT pg_advisory_xact_lock({LOCK});"
            ))?;
            run_all(postgres, POSTGRES)
        }),
    }
}

fn run_all<C, B>(connection: &mut C, migrations: EmbeddedMigrations) -> Result<Vec<String>, MigrateError>
where
    C: MigrationHarness<B>,
    B: diesel::backend::Backend,
{
    let versions = connection
        .run_pending_migrations(migrations)
        .map_err(MigrateError::Migrate)?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// Whether migrations are pending.
pub(super) fn pending(connection: &mut Connection) -> Result<bool, MigrateError> {
    let pending = match connection {
        Connection::Sqlite(sqlite) => sqlite.has_pending_migration(SQLITE),
        Connection::Postgres(postgres) => postgres.has_pending_migration(POSTGRES),
    };
    pending.map_err(MigrateError::Migrate)
}

//! Fills a database with made-up users.

use std::num::NonZeroU64;

use super::Settings;
use super::connection::Connection;
use super::lane::{BatchError, Request as _};
use super::migrations::{self, MigrateError};
use super::write_users::Write;
use crate::users::NewUser;

/// Users in one transaction.
const BATCH: u64 = 10_000;

/// Why seeding ended early.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("cannot connect: {0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("{0}")]
    Batch(String),
}

impl From<BatchError> for SeedError {
    fn from(error: BatchError) -> Self {
        Self::Batch(error.to_string())
    }
}

/// Migrates, and creates the users numbered 1 to `count`: on an empty database these are their ids. A user that is there
/// already stays as it is. Tells `progress` how many users have been looked at.
///
/// # Errors
/// When the database cannot be reached or refuses; whole batches before that are stored.
pub fn seed(
    settings: &Settings,
    count: NonZeroU64,
    user: impl Fn(u64) -> NewUser,
    mut progress: impl FnMut(u64),
) -> Result<u64, SeedError> {
    migrations::migrate(settings)?;
    let mut connection = Connection::open(&settings.url, settings.deadline)?;
    let (mut done, mut created) = (0, 0);
    while done < count.get() {
        let until = count.get().min(done + BATCH);
        let writes = Vec::from_iter((done + 1..=until).map(|number| Write::Create(user(number).into())));
        let outcomes = Write::run(&mut connection, &Vec::from_iter(&writes))?;
        created += outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        done = until;
        progress(done);
    }
    Ok(created)
}

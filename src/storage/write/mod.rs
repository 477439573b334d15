//! Writes: what a write is, how a batch of them is planned, and the statements of each database.

mod create;
mod delete;
mod plan;
mod postgres;
pub(super) mod sqlite;
mod unstorable;
mod update;

pub(super) use create::Create;
pub(super) use delete::Delete;
pub(super) use update::Update;

use super::database::batch_error::BatchError;
use super::database::connection::Connection;
use super::database::locks::Locks;
use super::engine::lane::{Ran, Request};
use super::engine::touched::Touched;
use crate::domain::{Error, User};
use crate::metrics::Change;

/// One change.
pub(crate) enum Write {
    Create(Create),
    Update(Update),
    Delete(Delete),
}

impl Write {
    /// The row to create, if it is a create.
    const fn create(&self) -> Option<&Create> {
        if let Self::Create(row) = self { Some(row) } else { None }
    }

    fn touched(&self) -> [Option<Touched<'_>>; 3] {
        let user = match self {
            Self::Create(_) => None,
            Self::Update(update) => Some(Touched::User(update.id.get())),
            Self::Delete(delete) => Some(Touched::User(delete.id.get())),
        };
        let (older, new) = match self {
            Self::Create(row) => (Some(row.email_key().older()), row.email_key().unless_plain()),
            Self::Update(update) => (update.email_key(), update.address_key()),
            Self::Delete(_) => (None, None),
        };
        // One that is the key of both kinds is touched once.
        let new = new.filter(|key| older != Some(key));
        [user, older.map(Touched::Address), new.map(Touched::Address)]
    }

    /// What it would have stored, and in which field of a user.
    fn texts(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Create(row) => vec![
                ("name", row.name()),
                ("name", row.name_key()),
                ("email", row.email()),
                ("email", row.email_key().older()),
            ],
            Self::Update(update) => {
                let name = [update.name(), update.name_key()].into_iter().flatten().map(|text| ("name", text));
                let email = [update.email(), update.email_key()].into_iter().flatten().map(|text| ("email", text));
                name.chain(email).collect()
            }
            Self::Delete(_) => Vec::new(),
        }
    }
}

impl Request for Write {
    /// The user as the write left it; for a delete, as it was.
    type Answer = User;

    const UNANSWERED: Error = Error::OutcomeUnknown;

    const CHANGES: bool = true;

    fn run(connection: &mut Connection, batch: &[&Self], locks: Locks) -> Result<Vec<Ran<Self>>, BatchError> {
        match connection {
            Connection::Sqlite(sqlite) => sqlite::write_batch(sqlite, batch),
            Connection::Postgres(postgres) => postgres::write_batch(postgres, batch, locks)
                .or_else(|failure| unstorable::outcome_of_write(postgres, batch, failure)),
        }
    }

    fn touches(&self) -> [Option<Touched<'_>>; 3] {
        self.touched()
    }

    fn change(&self) -> Option<Change> {
        Some(match self {
            Self::Create(_) => Change::Created,
            Self::Update(_) => Change::Updated,
            Self::Delete(_) => Change::Deleted,
        })
    }
}

//! Answers of writes that carry an idempotency key: stored by the transaction that makes the change, found when the
//! write comes again.
//!
//! - A batch without keys costs none of this.
//! - What is stored is found before a batch changes anything, or when that is refused. A key that is stored all the same
//!   is found out by the unique index: the batch is rolled back and tried again, and finds it.
//! - Only changes are stored. A write that was refused is decided anew when it comes again.

use std::collections::HashMap;

use diesel::prelude::*;

use super::request::Write;
use super::sqlite::find_answers::find_answers;
use crate::domain::{Error, Once};
use crate::storage::database::connection::Connection;
use crate::storage::database::schema::stored_answer::StoredAnswer;
use crate::storage::database::schema::tables::idempotency_keys;
use crate::storage::engine::request::Outcome;

/// The stored answers of some keys.
#[derive(Default)]
pub(super) struct Replays(HashMap<Vec<u8>, StoredAnswer>);

impl Replays {
    /// Finds the answers to writes that were executed before.
    pub(super) fn find<'a>(connection: &mut Connection, writes: impl Iterator<Item = &'a Write>) -> QueryResult<Self> {
        let ids = Vec::from_iter(writes.filter_map(Write::once).map(Once::id));
        let stored: Vec<StoredAnswer> = match connection {
            Connection::Postgres(postgres, _) => {
                let these = idempotency_keys::table.filter(idempotency_keys::key.eq_any(ids));
                these.select(StoredAnswer::as_select()).load(postgres)?
            }
            Connection::Sqlite(sqlite, _) => find_answers(sqlite, &ids)?,
        };
        Ok(Self(stored.into_iter().map(|mut answer| (std::mem::take(&mut answer.key), answer)).collect()))
    }

    /// The outcome of a write that was executed before, or whose key belongs to another one.
    pub(super) fn outcome_of(&self, write: &Write) -> Option<Outcome<Write>> {
        let once = write.once()?;
        let stored = self.0.get(once.id())?;
        Some(if stored.request == once.fingerprint() { Ok(stored.written()) } else { Err(Error::KeyReused) })
    }
}

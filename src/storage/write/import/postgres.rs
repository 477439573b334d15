//! The rows of a chunk on PostgreSQL, in the transaction that was begun.

use std::collections::{HashMap, HashSet};

use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::{Chunk, Row, RowOutcome, has_name_and_email, update_of};
use crate::domain::{EmailKey, OnConflict, Position, User, UserId};
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::write::postgres::write_in_rounds;
use crate::storage::write::request::Write;

/// `None` if another transaction holds a user that is to be updated.
pub(super) fn store_rows(
    postgres: &mut PgConnection,
    chunk: &Chunk,
    locks: LockPolicy,
) -> QueryResult<Option<(Vec<RowOutcome>, Position)>> {
    let first = first_of_each_address(&chunk.rows);
    let creates = Vec::from_iter(first.iter().filter_map(|at| chunk.rows.get(*at)).map(|row| &row.write));
    let Some((created, mut end)) = write_in_rounds(postgres, &creates, locks)? else { return Ok(None) };
    let taken = || RowOutcome::of_taken(chunk.on_conflict);
    let mut outcomes = Vec::from_iter(chunk.rows.iter().map(|_| taken()));
    for (at, created) in first.into_iter().zip(created) {
        if let (Some(outcome), Ok(user)) = (outcomes.get_mut(at), created) {
            *outcome = RowOutcome::Created(user);
        }
    }
    if chunk.on_conflict == OnConflict::Update {
        let updates = updates(postgres, chunk, &mut outcomes)?;
        let writes = Vec::from_iter(updates.iter().map(|(_, update)| update));
        let Some((updated, last)) = write_in_rounds(postgres, &writes, locks)? else { return Ok(None) };
        end = end.max(last);
        for ((at, _), updated) in updates.iter().zip(updated) {
            if let Some(outcome) = outcomes.get_mut(*at) {
                *outcome = RowOutcome::of_update(updated);
            }
        }
    }
    Ok(Some((outcomes, end)))
}

/// The places of the rows without those that have the address of an earlier one: whatever becomes of that, theirs is
/// taken.
fn first_of_each_address(rows: &[Row]) -> Vec<usize> {
    let (mut seen, mut first) = (HashSet::new(), Vec::with_capacity(rows.len()));
    for (at, row) in rows.iter().enumerate() {
        if row.write.new_address().is_none_or(|key| seen.insert((key.legacy(), key.address_key()))) {
            first.push(at);
        }
    }
    first
}

/// The updates of users that have the addresses of rows which were not created, with the places of these rows. Rows whose
/// users need no update are skipped.
fn updates(
    postgres: &mut PgConnection,
    chunk: &Chunk,
    outcomes: &mut [RowOutcome],
) -> QueryResult<Vec<(usize, Write)>> {
    let refused = chunk.rows.iter().zip(outcomes).enumerate();
    let mut refused = Vec::from_iter(refused.filter(|(_, (_, outcome))| matches!(outcome, RowOutcome::Taken)));
    let holders = Holders::find(postgres, refused.iter().filter_map(|(_, (row, _))| row.write.new_address()))?;
    let mut touched = HashSet::<UserId>::new();
    let mut updates = Vec::new();
    for (at, (row, outcome)) in &mut refused {
        let Some((create, holder)) = row.write.create().and_then(|it| Some((it, holders.of(it.email_key())?))) else {
            continue;
        };
        let has_all = has_name_and_email(holder, create);
        // An earlier row may have changed that.
        if has_all && !touched.contains(&holder.id) {
            **outcome = RowOutcome::Skipped;
        } else {
            touched.insert(holder.id);
            updates.push((*at, Write::Update(update_of(holder.id, create))));
        }
    }
    Ok(updates)
}

/// Users by the keys of their addresses.
struct Holders {
    by_legacy: HashMap<String, User>,
    by_address: HashMap<String, User>,
}

impl Holders {
    fn find<'a>(postgres: &mut PgConnection, keys: impl Iterator<Item = &'a EmailKey> + Clone) -> QueryResult<Self> {
        let legacy = Vec::from_iter(keys.clone().map(EmailKey::legacy));
        let addresses = Vec::from_iter(keys.filter_map(EmailKey::address_key));
        let columns = (users::email_key, users::address_key, UserRow::as_select());
        let have_these = users::email_key.eq_any(legacy).or(users::address_key.eq_any(addresses));
        let found: Vec<(String, Option<String>, UserRow)> =
            users::table.filter(have_these).select(columns).load(postgres)?;
        let (mut by_legacy, mut by_address) = (HashMap::new(), HashMap::new());
        for (legacy, address, row) in found {
            let user = User::from(row);
            if let Some(address) = address {
                by_address.insert(address, user.clone());
            }
            by_legacy.insert(legacy, user);
        }
        Ok(Self { by_legacy, by_address })
    }

    /// The user that has an address.
    fn of(&self, key: &EmailKey) -> Option<&User> {
        let by_address = key.address_key().and_then(|key| self.by_address.get(key));
        by_address.or_else(|| self.by_legacy.get(key.legacy()))
    }
}

//! The rows of a chunk on PostgreSQL, in the transaction that was begun.

use std::collections::HashMap;

use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::{Row, RowOutcome, has_address, is_as_in, update_of};
use crate::domain::{EmailKey, Error, OnConflict, Position, User};
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::write::postgres::write_in_rounds;
use crate::storage::write::request::Write;

/// `None` if another transaction holds a user that is to be updated.
pub(super) fn store_rows(
    postgres: &mut PgConnection,
    rows: &[&Row],
    on_conflict: OnConflict,
    locks: LockPolicy,
) -> QueryResult<Option<(Vec<RowOutcome>, Position)>> {
    let creates = Vec::from_iter(rows.iter().map(|row| &row.write));
    let Some((created, mut end)) = write_in_rounds(postgres, &creates, locks)? else { return Ok(None) };
    let of_create = |created: Result<User, Error>| created.map_or_else(RowOutcome::Refused, RowOutcome::Created);
    let mut outcomes = Vec::from_iter(created.into_iter().map(of_create));
    if on_conflict == OnConflict::Fail {
        return Ok(Some((outcomes, end)));
    }
    let updates = resolve(postgres, rows, on_conflict, &mut outcomes)?;
    let writes = Vec::from_iter(updates.iter().map(|(_, update)| update));
    let Some((updated, last)) = write_in_rounds(postgres, &writes, locks)? else { return Ok(None) };
    end = end.max(last);
    for ((at, _), updated) in updates.iter().zip(updated) {
        if let Some(outcome) = outcomes.get_mut(*at) {
            *outcome = RowOutcome::of_update(updated);
        }
    }
    Ok(Some((outcomes, end)))
}

/// Finds the users that have the addresses of rows which were not created. Skips the rows that need no update, and returns
/// the updates for the others, with the places of their rows.
fn resolve(
    postgres: &mut PgConnection,
    rows: &[&Row],
    on_conflict: OnConflict,
    outcomes: &mut [RowOutcome],
) -> QueryResult<Vec<(usize, Write)>> {
    let refused = rows.iter().zip(outcomes).enumerate();
    let refused = Vec::from_iter(refused.filter(|(_, (_, outcome))| matches!(outcome, RowOutcome::Refused(_))));
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let keys = Vec::from_iter(refused.iter().filter_map(|(_, (row, _))| row.write.new_address()));
    let holders = Holders::find(postgres, &keys)?;
    let mut updates = Vec::new();
    for (at, (row, outcome)) in refused {
        let Some(create) = row.write.create() else { continue };
        let Some(holder) = holders.of(create.email_key()).filter(|holder| has_address(holder, create)) else {
            continue;
        };
        if on_conflict == OnConflict::Skip || is_as_in(holder, row, create) {
            *outcome = RowOutcome::Skipped;
        } else {
            updates.push((at, Write::Update(update_of(holder.id, row, create))));
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
    fn find(postgres: &mut PgConnection, keys: &[&EmailKey]) -> QueryResult<Self> {
        let legacy = Vec::from_iter(keys.iter().map(|key| key.legacy()));
        let addresses = Vec::from_iter(keys.iter().filter_map(|key| key.address_key()));
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

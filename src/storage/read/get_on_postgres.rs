//! Look-ups on PostgreSQL: one statement with `= ANY` for the ids and one for the addresses. Few keys are filled up to
//! ten: otherwise PostgreSQL would plan each small batch anew.

use std::collections::HashMap;

use diesel::dsl::not;
use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::lookup::{Lookup, users_by_key};
use crate::domain::{AsOf, ExternalId, Position, User};
use crate::storage::database::schema::log_end::log_end;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;

/// On PostgreSQL one statement gets all users by id, one or two get all users by address, and one gets all by external id.
/// Each is a separate transaction.
pub(super) fn get_together(postgres: &mut PgConnection, batch: &[&Lookup]) -> QueryResult<Vec<AsOf<Option<User>>>> {
    let mut ids = Vec::with_capacity(batch.len());
    let (mut plain, mut others, mut older) = (Vec::new(), Vec::new(), Vec::new());
    let mut external_ids = Vec::new();
    for lookup in batch {
        match lookup {
            Lookup::Id(id) => ids.push(id.get()),
            Lookup::Email(key) if key.is_plain() => plain.push(key.as_str()),
            Lookup::Email(key) => {
                others.push(key.as_str());
                older.push(key.legacy());
            }
            Lookup::ExternalId(external_id) => external_ids.push(external_id.as_str()),
        }
    }
    let by_id = get_by_ids(postgres, ids)?;
    let mut by_key = get_by_plain_keys(postgres, plain)?;
    by_key.extend(get_by_other_keys(postgres, others, older)?);
    let by_external_id = get_by_external_ids(postgres, external_ids)?;
    let end = by_id.iter().chain(&by_key).chain(&by_external_id).map(|(_, end)| *end).max();
    let by_id = HashMap::<i64, User>::from_iter(by_id.into_iter().map(|(row, _)| (row.id, row.into())));
    let by_key = users_by_key(by_key.into_iter().map(|(row, _)| row.into()).collect());
    let by_external_id = Vec::from_iter(by_external_id.into_iter().map(|(row, _)| User::from(row)));
    let by_external_id = by_external_id.into_iter().filter_map(|user| Some((user.external_id()?.clone(), user)));
    let by_external_id = HashMap::<ExternalId, User>::from_iter(by_external_id);
    let user = |lookup: &&Lookup| match lookup {
        Lookup::Id(id) => by_id.get(&id.get()).cloned(),
        Lookup::Email(key) => by_key.get(key.as_str()).cloned(),
        Lookup::ExternalId(external_id) => by_external_id.get(external_id).cloned(),
    };
    let users = Vec::from_iter(batch.iter().map(user));
    let end = match end {
        Some(end) if users.iter().all(Option::is_some) => end,
        // That somebody is not there has no row that says as of when.
        _ => diesel::select(log_end()).get_result(postgres)?,
    };
    Ok(users.into_iter().map(|user| AsOf::latest(user, Position(end))).collect())
}

/// A user, and the end of the log.
type Row = (UserRow, i64);

fn get_by_ids(postgres: &mut PgConnection, ids: Vec<i64>) -> QueryResult<Vec<Row>> {
    let Some(ids) = fill_up(ids) else { return Ok(Vec::new()) };
    users::table.filter(users::id.eq_any(ids)).select((UserRow::as_select(), log_end())).load(postgres)
}

fn get_by_plain_keys(postgres: &mut PgConnection, keys: Vec<&str>) -> QueryResult<Vec<Row>> {
    let Some(keys) = fill_up(keys) else { return Ok(Vec::new()) };
    users::table.filter(users::email_key.eq_any(keys)).select((UserRow::as_select(), log_end())).load(postgres)
}

fn get_by_external_ids(postgres: &mut PgConnection, external_ids: Vec<&str>) -> QueryResult<Vec<Row>> {
    let Some(external_ids) = fill_up(external_ids) else { return Ok(Vec::new()) };
    let these = users::table.filter(users::external_id.eq_any(external_ids));
    these.select((UserRow::as_select(), log_end())).load(postgres)
}

/// Looks up address keys, and in rows without keys the legacy keys.
fn get_by_other_keys(postgres: &mut PgConnection, keys: Vec<&str>, older: Vec<&str>) -> QueryResult<Vec<Row>> {
    let (Some(keys), Some(older)) = (fill_up(keys), fill_up(older)) else { return Ok(Vec::new()) };
    let has_legacy_key = users::email_key.eq_any(older).and(not(users::has_keys));
    let matches = users::address_key.eq_any(keys).or(has_legacy_key);
    let columns = (UserRow::as_select(), log_end());
    users::table.filter(matches).order((users::has_keys.desc(), users::id)).select(columns).load(postgres)
}

/// Fills up few keys by repeating the last one. `None` if there are none.
///
/// PostgreSQL assumes ten elements for an array that it does not know yet. For a shorter array it expects a plan for
/// these values to be cheaper than the generic plan, and makes one for every statement, which takes longer than the
/// look-up. Repeated keys cost nothing: PostgreSQL sorts them and drops duplicates.
pub(super) fn fill_up<T: Copy>(keys: Vec<T>) -> Option<Vec<T>> {
    let last = *keys.last()?;
    Some(fill_up_with(keys, last))
}

/// Fills up few values with this one.
pub(super) fn fill_up_with<T: Copy>(mut values: Vec<T>, filler: T) -> Vec<T> {
    const EXPECTED: usize = 10;
    values.resize(values.len().max(EXPECTED), filler);
    values
}

#[cfg(test)]
mod tests {
    use super::fill_up;

    #[test]
    fn few_keys_are_filled_up_to_what_postgres_assumes() {
        assert_eq!(fill_up(vec![7, 8]), Some(vec![7, 8, 8, 8, 8, 8, 8, 8, 8, 8]));
        assert_eq!(fill_up(Vec::from_iter(0..11)), Some(Vec::from_iter(0..11)));
        assert_eq!(fill_up::<i64>(Vec::new()), None);
    }
}

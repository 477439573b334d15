//! Look-ups: one user by id or by address.
//!
//! On SQLite a batch of look-ups is a loop over cached prepared statements, inside one transaction. On PostgreSQL it is
//! one statement with `= ANY` for the ids and one for the addresses. A batch of few keys is filled up to ten keys:
//! otherwise PostgreSQL would plan each small batch anew.

use std::collections::HashMap;

use diesel::Connection as _;
use diesel::dsl::not;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::domain::{EmailKey, Error, User, UserId};
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::database::unstorable_text::is_unstorable;
use crate::storage::engine::request::{Execution, Request};

/// Which user to get.
pub(crate) enum Lookup {
    Id(UserId),
    Email(EmailKey),
}

impl Request for Lookup {
    type Answer = Option<User>;

    // A read changes nothing, so a lost response has no unknown outcome.
    const UNANSWERED: Error = Error::Unavailable;

    fn run(connection: &mut Connection, batch: &[&Self], _: LockPolicy) -> Result<Vec<Execution<Self>>, BatchError> {
        match connection {
            Connection::Sqlite(sqlite, _) => get_one_by_one(sqlite, batch),
            Connection::Postgres(postgres) => {
                get_together(postgres, batch).or_else(|failure| none_if_unstorable(postgres, batch, failure))
            }
        }
    }
}

/// On SQLite a statement costs no round trip. Cached single look-ups in one read transaction are fastest.
fn get_one_by_one(sqlite: &mut SqliteConnection, batch: &[&Lookup]) -> Result<Vec<Execution<Lookup>>, BatchError> {
    let get =
        |lookup: &&Lookup, sqlite: &mut SqliteConnection| get_one(sqlite, lookup).map(Ok).map(Execution::Executed);
    Ok(sqlite.transaction(|sqlite| batch.iter().map(|lookup| get(lookup, sqlite)).collect::<QueryResult<_>>())?)
}

fn get_one(sqlite: &mut SqliteConnection, lookup: &Lookup) -> QueryResult<Option<User>> {
    let key = match lookup {
        Lookup::Id(id) => {
            let row = users::table.find(id.get()).select(UserRow::as_select()).get_result(sqlite);
            return row.optional().map(|found| found.map(User::from));
        }
        Lookup::Email(key) => key,
    };
    let rows: Vec<UserRow> = if key.is_plain() {
        users::table.filter(users::email_key.eq(key.as_str())).select(UserRow::as_select()).load(sqlite)
    } else {
        let has_legacy_key = users::email_key.eq(key.legacy()).and(not(users::has_keys));
        let matches = users::address_key.eq(key.as_str()).or(has_legacy_key);
        users::table
            .filter(matches)
            .order((users::has_keys.desc(), users::id))
            .select(UserRow::as_select())
            .load(sqlite)
    }?;
    Ok(by_key(rows).remove(key.as_str()))
}

/// On PostgreSQL one statement gets all users by id, and one or two statements get all users by address. Each is a
/// separate transaction.
fn get_together(postgres: &mut PgConnection, batch: &[&Lookup]) -> Result<Vec<Execution<Lookup>>, BatchError> {
    let mut ids = Vec::with_capacity(batch.len());
    let (mut plain, mut others, mut older) = (Vec::new(), Vec::new(), Vec::new());
    for lookup in batch {
        match lookup {
            Lookup::Id(id) => ids.push(id.get()),
            Lookup::Email(key) if key.is_plain() => plain.push(key.as_str()),
            Lookup::Email(key) => {
                others.push(key.as_str());
                older.push(key.legacy());
            }
        }
    }
    let by_id = get_by_ids(postgres, ids)?;
    let mut rows = get_by_plain_keys(postgres, plain)?;
    rows.extend(get_by_other_keys(postgres, others, older)?);
    let by_email = by_key(rows);
    let answer = |lookup: &&Lookup| match lookup {
        Lookup::Id(id) => by_id.get(&id.get()).cloned(),
        Lookup::Email(key) => by_email.get(key.as_str()).cloned(),
    };
    Ok(batch.iter().map(answer).map(Ok).map(Execution::Executed).collect())
}

/// The outcome of a look-up that failed alone: no user, if the database cannot store the address; otherwise the failure
/// itself.
fn none_if_unstorable(
    postgres: &mut PgConnection,
    batch: &[&Lookup],
    failure: BatchError,
) -> Result<Vec<Execution<Lookup>>, BatchError> {
    let ([Lookup::Email(key)], BatchError::NotExecuted(error)) = (batch, &failure) else { return Err(failure) };
    let is_unstorable = [key.as_str(), key.legacy()].into_iter().any(|text| is_unstorable(postgres, text, error));
    if is_unstorable { Ok(vec![Execution::Executed(Ok(None))]) } else { Err(failure) }
}

fn get_by_ids(postgres: &mut PgConnection, ids: Vec<i64>) -> QueryResult<HashMap<i64, User>> {
    let Some(ids) = fill_up(ids) else { return Ok(HashMap::new()) };
    let query = users::table.filter(users::id.eq_any(ids)).select(UserRow::as_select());
    let rows = query.load::<UserRow>(postgres)?;
    Ok(rows.into_iter().map(|row| (row.id, row.into())).collect())
}

fn get_by_plain_keys(postgres: &mut PgConnection, keys: Vec<&str>) -> QueryResult<Vec<UserRow>> {
    let Some(keys) = fill_up(keys) else { return Ok(Vec::new()) };
    users::table.filter(users::email_key.eq_any(keys)).select(UserRow::as_select()).load(postgres)
}

/// Looks up address keys, and in rows without keys the legacy keys.
fn get_by_other_keys(postgres: &mut PgConnection, keys: Vec<&str>, older: Vec<&str>) -> QueryResult<Vec<UserRow>> {
    let (Some(keys), Some(older)) = (fill_up(keys), fill_up(older)) else { return Ok(Vec::new()) };
    let has_legacy_key = users::email_key.eq_any(older).and(not(users::has_keys));
    let matches = users::address_key.eq_any(keys).or(has_legacy_key);
    users::table.filter(matches).order((users::has_keys.desc(), users::id)).select(UserRow::as_select()).load(postgres)
}

/// The users by the keys of their addresses. A user of an earlier release may have been found by another key, and two
/// such users may share one key. Then the first row wins; rows with keys come first.
fn by_key(rows: Vec<UserRow>) -> HashMap<String, User> {
    let mut users = HashMap::with_capacity(rows.len());
    for user in rows.into_iter().map(User::from) {
        users.entry(user.email.key().into_string()).or_insert(user);
    }
    users
}

/// Fills up few keys by repeating the last one. `None` if there are none.
///
/// PostgreSQL assumes ten elements for an array that it does not know yet. For a shorter array it expects a plan for
/// these values to be cheaper than the generic plan, and makes one for every statement, which takes longer than the
/// look-up. Repeated keys cost nothing: PostgreSQL sorts them and drops duplicates.
fn fill_up<T: Copy>(mut keys: Vec<T>) -> Option<Vec<T>> {
    const EXPECTED: usize = 10;
    let last = *keys.last()?;
    keys.resize(keys.len().max(EXPECTED), last);
    Some(keys)
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

//! Look-ups: one user by id or by address.

use std::collections::HashMap;

use diesel::Connection as _;
use diesel::dsl::not;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::domain::{EmailKey, Error, User, UserId};
use crate::storage::database::batch_error::BatchError;
use crate::storage::database::connection::Connection;
use crate::storage::database::encoding::is_unstorable;
use crate::storage::database::locks::Locks;
use crate::storage::database::row::UserRow;
use crate::storage::database::schema::users;
use crate::storage::engine::lane::{Ran, Request};

/// Which user to get.
pub(crate) enum Lookup {
    Id(UserId),
    Email(EmailKey),
}

impl Request for Lookup {
    type Answer = Option<User>;

    // Nothing is lost by not waiting for an answer to a question.
    const UNANSWERED: Error = Error::Unavailable;

    fn run(connection: &mut Connection, batch: &[&Self], _: Locks) -> Result<Vec<Ran<Self>>, BatchError> {
        match connection {
            Connection::Sqlite(sqlite) => get_one_by_one(sqlite, batch),
            Connection::Postgres(postgres) => {
                get_together(postgres, batch).or_else(|failure| nobody_has_it(postgres, batch, failure))
            }
        }
    }
}

/// On SQLite a statement costs no round trip: cached single look-ups inside one read transaction are the fastest.
fn get_one_by_one(sqlite: &mut SqliteConnection, batch: &[&Lookup]) -> Result<Vec<Ran<Lookup>>, BatchError> {
    let get = |lookup: &&Lookup, sqlite: &mut SqliteConnection| get_one(sqlite, lookup).map(Ok).map(Ran::Executed);
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
        let may_have_it = users::email_key.eq(key.older()).and(not(users::has_keys));
        let has_it = users::address_key.eq(key.as_str()).or(may_have_it);
        users::table.filter(has_it).order((users::has_keys.desc(), users::id)).select(UserRow::as_select()).load(sqlite)
    }?;
    Ok(by_key(rows).remove(key.as_str()))
}

/// On PostgreSQL one statement gets all that are asked for by id, and one or two all that are asked for by address. Each is a
/// transaction of its own accord.
fn get_together(postgres: &mut PgConnection, batch: &[&Lookup]) -> Result<Vec<Ran<Lookup>>, BatchError> {
    let mut ids = Vec::with_capacity(batch.len());
    let (mut plain, mut others, mut older) = (Vec::new(), Vec::new(), Vec::new());
    for lookup in batch {
        match lookup {
            Lookup::Id(id) => ids.push(id.get()),
            Lookup::Email(key) if key.is_plain() => plain.push(key.as_str()),
            Lookup::Email(key) => {
                others.push(key.as_str());
                older.push(key.older());
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
    Ok(batch.iter().map(answer).map(Ok).map(Ran::Executed).collect())
}

/// The outcome of a look-up that failed alone, if it failed for an address that cannot be stored; else the failure.
fn nobody_has_it(
    postgres: &mut PgConnection,
    batch: &[&Lookup],
    failure: BatchError,
) -> Result<Vec<Ran<Lookup>>, BatchError> {
    let ([Lookup::Email(key)], BatchError::NotExecuted(error)) = (batch, &failure) else { return Err(failure) };
    let is_unstorable = [key.as_str(), key.older()].into_iter().any(|text| is_unstorable(postgres, text, error));
    if is_unstorable { Ok(vec![Ran::Executed(Ok(None))]) } else { Err(failure) }
}

fn get_by_ids(postgres: &mut PgConnection, ids: Vec<i64>) -> QueryResult<HashMap<i64, User>> {
    let Some(ids) = planned_once(ids) else { return Ok(HashMap::new()) };
    let query = users::table.filter(users::id.eq_any(ids)).select(UserRow::as_select());
    let rows = query.load::<UserRow>(postgres)?;
    Ok(rows.into_iter().map(|row| (row.id, row.into())).collect())
}

fn get_by_plain_keys(postgres: &mut PgConnection, keys: Vec<&str>) -> QueryResult<Vec<UserRow>> {
    let Some(keys) = planned_once(keys) else { return Ok(Vec::new()) };
    users::table.filter(users::email_key.eq_any(keys)).select(UserRow::as_select()).load(postgres)
}

/// Asks for the keys, and in rows without keys for those of older releases.
fn get_by_other_keys(postgres: &mut PgConnection, keys: Vec<&str>, older: Vec<&str>) -> QueryResult<Vec<UserRow>> {
    let (Some(keys), Some(older)) = (planned_once(keys), planned_once(older)) else { return Ok(Vec::new()) };
    let may_have_it = users::email_key.eq_any(older).and(not(users::has_keys));
    let has_it = users::address_key.eq_any(keys).or(may_have_it);
    users::table.filter(has_it).order((users::has_keys.desc(), users::id)).select(UserRow::as_select()).load(postgres)
}

/// The users by the keys of their addresses. What an older release has stored may have another key than it was found by, and
/// two of its users may have one key: then the first of these rows has it, in which those with keys come first.
fn by_key(rows: Vec<UserRow>) -> HashMap<String, User> {
    let mut users = HashMap::with_capacity(rows.len());
    for user in rows.into_iter().map(User::from) {
        users.entry(user.email.key().into_string()).or_insert(user);
    }
    users
}

/// Repeats the last of few keys; `None` if there are none.
///
/// PostgreSQL takes an array that it does not know yet for one of ten. For a shorter one it hopes that a plan of its own is
/// cheaper than the plan for all, and makes one each time, which takes longer than to look the keys up. That one key is there
/// twice costs nothing: it sorts them, and drops what is equal.
fn planned_once<T: Copy>(mut keys: Vec<T>) -> Option<Vec<T>> {
    const EXPECTED: usize = 10;
    let last = *keys.last()?;
    keys.resize(keys.len().max(EXPECTED), last);
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::planned_once;

    #[test]
    fn few_keys_become_as_many_as_postgres_expects() {
        assert_eq!(planned_once(vec![7, 8]), Some(vec![7, 8, 8, 8, 8, 8, 8, 8, 8, 8]));
        assert_eq!(planned_once(Vec::from_iter(0..11)), Some(Vec::from_iter(0..11)));
        assert_eq!(planned_once::<i64>(Vec::new()), None);
    }
}

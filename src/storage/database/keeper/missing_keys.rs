//! Computes the keys of users that an earlier release has written without them.
//!
//! Databases fold case differently, so no database folds here: `domain` folds names and addresses, and the results are
//! columns. A migration cannot compute them in SQL. The keeper does so, some users at a time, beside the requests.
//! Until a user has its keys, look-ups also ask by its legacy key, and lists by name use the legacy keys too.

use diesel::dsl::{exists, select, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::domain::{Email, EmailKey, UserName};
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::tables::users;

/// Users per transaction. It takes a few milliseconds on SQLite, where other writers wait for it, and some tens on
/// PostgreSQL.
const BATCH: i64 = 200;

/// The condition for users without keys. It must match the condition of the partial index.
const POSTGRES: &str =
    "NOT has_keys AND (name_key ~ '[^\\x01-\\x7f]' OR email ~ '[^\\x01-\\x7f]' OR email_key LIKE '%xn--%')";
const SQLITE: &str = "NOT has_keys AND (name_key GLOB '*[^ -~]*' OR email GLOB '*[^ -~]*' OR email_key LIKE '%xn--%')";

/// A user, with what its keys are computed from.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct UserSource {
    id: i64,
    name: String,
    email: String,
}

impl UserSource {
    fn key(&self) -> EmailKey {
        Email::stored(self.email.clone()).key()
    }
}

/// The result of one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FillResult {
    /// All users have their keys, except duplicates.
    Complete,
    /// Some users got their keys; more may be left.
    Progress,
    /// All users that are left are locked.
    Blocked,
}

/// Computes the keys of some users.
pub(super) fn fill(connection: &mut Connection) -> QueryResult<FillResult> {
    // Without users to change, SQLite's write lock is not taken.
    if !any_without_keys(connection)? {
        return Ok(FillResult::Complete);
    }
    let filled = connection.write(|connection| {
        let users = find_users_without_keys(connection)?;
        users.iter().map(|user| fill_one(connection, user)).collect::<QueryResult<Vec<_>>>()
    })?;
    for (user, holder) in filled.iter().flatten() {
        log::warn!(
            "user {user} has the same address as user {holder}, and is not found by it: change the address of one"
        );
    }
    Ok(if filled.is_empty() { FillResult::Blocked } else { FillResult::Progress })
}

/// Gives a duplicate its address key if no other user has the address any more.
pub(super) fn free_duplicates(connection: &mut Connection) -> QueryResult<()> {
    let duplicates: Vec<UserSource> = on_backend!(connection, |connection| {
        let duplicates = users::table.filter(users::duplicate_of.is_not_null()).order(users::duplicate_of);
        duplicates.limit(BATCH).select(UserSource::as_select()).load(connection)
    })?;
    for user in duplicates {
        if holder(connection, &user.key(), user.id)?.is_none() {
            connection.write(|connection| match lock_duplicate(connection, user.id)? {
                Some(user) => fill_one(connection, &user).map(drop),
                None => Ok(()),
            })?;
        }
    }
    Ok(())
}

/// The duplicate as it is now: its address may have changed since it was read. `None` if it is no longer a duplicate,
/// or is locked.
fn lock_duplicate(connection: &mut Connection, id: i64) -> QueryResult<Option<UserSource>> {
    let user = users::table.filter(users::id.eq(id).and(users::duplicate_of.is_not_null()));
    match connection {
        // A writing transaction is alone on SQLite.
        Connection::Sqlite(sqlite, _) => user.select(UserSource::as_select()).first(sqlite).optional(),
        Connection::Postgres(postgres, _) => {
            user.select(UserSource::as_select()).for_no_key_update().skip_locked().first(postgres).optional()
        }
    }
}

fn any_without_keys(connection: &mut Connection) -> QueryResult<bool> {
    match connection {
        Connection::Sqlite(sqlite, _) => select(exists(users::table.filter(sql::<Bool>(SQLITE)))).get_result(sqlite),
        Connection::Postgres(postgres, _) => {
            select(exists(users::table.filter(sql::<Bool>(POSTGRES)))).get_result(postgres)
        }
    }
}

/// The first users without keys that are not locked.
fn find_users_without_keys(connection: &mut Connection) -> QueryResult<Vec<UserSource>> {
    match connection {
        Connection::Sqlite(sqlite, _) => {
            let users = users::table.filter(sql::<Bool>(SQLITE)).order(users::id).limit(BATCH);
            users.select(UserSource::as_select()).load(sqlite)
        }
        Connection::Postgres(postgres, _) => {
            let users = users::table.filter(sql::<Bool>(POSTGRES)).order(users::id).limit(BATCH);
            users.select(UserSource::as_select()).for_no_key_update().skip_locked().load(postgres)
        }
    }
}

/// Gives a user its keys. If another user has its address, that user keeps it: the one with the lower id may have taken
/// the address later. In that case returns this user's id and the other's.
fn fill_one(connection: &mut Connection, user: &UserSource) -> QueryResult<Option<(i64, i64)>> {
    let key = user.key();
    let holder = holder(connection, &key, user.id)?;
    let name_key = UserName::stored(user.name.clone()).key();
    let keys = (
        users::name_key.eq(name_key.as_str()),
        users::address_key.eq(if holder.is_some() { None } else { key.address_key() }),
        users::duplicate_of.eq(holder),
        users::has_keys.eq(true),
        // Otherwise the trigger would treat this as a write of an older release.
        users::key_revision.eq(users::key_revision + 1),
    );
    on_backend!(connection, |connection| { diesel::update(users::table.find(user.id)).set(keys).execute(connection) })?;
    Ok(holder.map(|holder| (user.id, holder)))
}

/// Another user with this address key. A plain key has no other user: the unique index on `email_key` ensures that.
fn holder(connection: &mut Connection, key: &EmailKey, id: i64) -> QueryResult<Option<i64>> {
    let Some(key) = key.address_key() else { return Ok(None) };
    on_backend!(connection, |connection| {
        let others = users::table.filter(users::address_key.eq(key).and(users::id.ne(id)));
        others.select(users::id).first(connection).optional()
    })
}

//! Computes the keys of users that a release has written which did not know them.
//!
//! The keeper does so, some users at a time, beside the requests. Until a user has its keys, look-ups ask for it by the older
//! one too, and lists by name for the older ones of its name.

use diesel::dsl::{exists, select, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::connection::{Connection, on_backend};
use super::schema::users;
use crate::domain::{Email, EmailKey, UserName};

/// Users in one transaction: a few milliseconds on SQLite, for which writers wait, and some tens on PostgreSQL.
const BATCH: i64 = 200;

/// Which users are without keys, in the words of the index of those.
const POSTGRES: &str =
    "NOT has_keys AND (name_key ~ '[^\\x01-\\x7f]' OR email ~ '[^\\x01-\\x7f]' OR email_key LIKE '%xn--%')";
const SQLITE: &str = "NOT has_keys AND (name_key GLOB '*[^ -~]*' OR email GLOB '*[^ -~]*' OR email_key LIKE '%xn--%')";

/// A user, and what its keys follow from.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct Keyed {
    id: i64,
    name: String,
    email: String,
}

impl Keyed {
    fn key(&self) -> EmailKey {
        Email::stored(self.email.clone()).key()
    }
}

/// What there was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// All users had their keys, but for duplicates.
    All,
    /// Some got theirs, and there may be more.
    Some,
    /// Those that are left are locked.
    NoneFree,
}

/// Computes the keys of some users.
pub(super) fn fill(connection: &mut Connection) -> QueryResult<Filled> {
    // Only what is to be changed is worth SQLite's lock.
    if !any_without_keys(connection)? {
        return Ok(Filled::All);
    }
    let filled = connection.write(|connection| {
        let keyless = find(connection)?;
        keyless.iter().map(|user| fill_one(connection, user)).collect::<QueryResult<Vec<_>>>()
    })?;
    for (user, holder) in filled.iter().flatten() {
        log::warn!(
            "user {user} has the same address as user {holder}, and is not found by it: change the address of one"
        );
    }
    Ok(if filled.is_empty() { Filled::NoneFree } else { Filled::Some })
}

/// Gives duplicates their keys whose addresses nobody else has any more.
pub(super) fn free_duplicates(connection: &mut Connection) -> QueryResult<()> {
    let duplicates: Vec<Keyed> = on_backend!(connection, |connection| {
        let duplicates = users::table.filter(users::duplicate_of.is_not_null()).order(users::duplicate_of);
        duplicates.limit(BATCH).select(Keyed::as_select()).load(connection)
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

/// The duplicate as it is now: somebody may have given it another address since it was read. `None` if it is no duplicate any
/// more, or locked.
fn lock_duplicate(connection: &mut Connection, id: i64) -> QueryResult<Option<Keyed>> {
    let user = users::table.filter(users::id.eq(id).and(users::duplicate_of.is_not_null()));
    match connection {
        // A transaction that writes is the only one.
        Connection::Sqlite(sqlite) => user.select(Keyed::as_select()).first(sqlite).optional(),
        Connection::Postgres(postgres) => {
            user.select(Keyed::as_select()).for_no_key_update().skip_locked().first(postgres).optional()
        }
    }
}

fn any_without_keys(connection: &mut Connection) -> QueryResult<bool> {
    match connection {
        Connection::Sqlite(sqlite) => select(exists(users::table.filter(sql::<Bool>(SQLITE)))).get_result(sqlite),
        Connection::Postgres(postgres) => {
            select(exists(users::table.filter(sql::<Bool>(POSTGRES)))).get_result(postgres)
        }
    }
}

/// The first that are without keys and that nobody has locked.
fn find(connection: &mut Connection) -> QueryResult<Vec<Keyed>> {
    match connection {
        Connection::Sqlite(sqlite) => {
            let users = users::table.filter(sql::<Bool>(SQLITE)).order(users::id).limit(BATCH);
            users.select(Keyed::as_select()).load(sqlite)
        }
        Connection::Postgres(postgres) => {
            let users = users::table.filter(sql::<Bool>(POSTGRES)).order(users::id).limit(BATCH);
            users.select(Keyed::as_select()).for_no_key_update().skip_locked().load(postgres)
        }
    }
}

/// Gives a user its keys. If another has its address, that one keeps it: who has the lower id may have taken the address later.
/// Returns the user then, and who has it.
fn fill_one(connection: &mut Connection, user: &Keyed) -> QueryResult<Option<(i64, i64)>> {
    let key = user.key();
    let holder = holder(connection, &key, user.id)?;
    let name_key = UserName::stored(user.name.clone()).key();
    let keys = (
        users::name_key.eq(name_key.as_str()),
        users::address_key.eq(if holder.is_some() { None } else { key.unless_plain() }),
        users::duplicate_of.eq(holder),
        users::has_keys.eq(true),
        // Else the trigger would take it for a write of an older release.
        users::key_revision.eq(users::key_revision + 1),
    );
    on_backend!(connection, |connection| { diesel::update(users::table.find(user.id)).set(keys).execute(connection) })?;
    Ok(holder.map(|holder| (user.id, holder)))
}

/// Who else has this key. Of a plain one nobody: the index on the older keys sees to that.
fn holder(connection: &mut Connection, key: &EmailKey, id: i64) -> QueryResult<Option<i64>> {
    let Some(key) = key.unless_plain() else { return Ok(None) };
    on_backend!(connection, |connection| {
        let others = users::table.filter(users::address_key.eq(key).and(users::id.ne(id)));
        others.select(users::id).first(connection).optional()
    })
}

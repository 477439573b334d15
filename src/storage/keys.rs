//! Computes the keys of users that a release has written which did not know them.
//!
//! The keeper does so, some users at a time, beside the requests. Until a user has its keys, look-ups ask for it by the older
//! one too, and lists by name for the older ones of its name.

use diesel::dsl::{exists, select, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::connection::{Connection, on_backend};
use super::schema::users;
use crate::users::{Email, EmailKey, UserName};

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
    email_key: String,
}

impl Keyed {
    fn key(&self) -> EmailKey {
        Email::stored(self.email.clone()).key()
    }
}

/// What there was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// All users had their keys.
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
    for (user, other) in filled.iter().flatten() {
        log::warn!(
            "user {user} has the same address as user {other}, and is not found by it: change the address of one"
        );
    }
    Ok(if filled.is_empty() { Filled::NoneFree } else { Filled::Some })
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

/// Gives a user its keys. Of two with one address the one that came first has it; returns the other one, and who has it.
fn fill_one(connection: &mut Connection, user: &Keyed) -> QueryResult<Option<(i64, i64)>> {
    let key = user.key();
    let Some(holder) = holder(connection, &key, user.id)? else {
        give(connection, user, &key)?;
        return Ok(None);
    };
    // Whoever has the older key with another address keeps that until older releases are gone.
    if holder.id < user.id || holder.key().as_str() != key.as_str() {
        mark_duplicate(connection, user, &user.email_key, holder.id)?;
        return Ok(Some((user.id, holder.id)));
    }
    // No address ends so: nobody finds it by that.
    let nobodys = format!("{} {}", key.older(), holder.id);
    mark_duplicate(connection, &holder, if key.is_plain() { &nobodys } else { &holder.email_key }, user.id)?;
    give(connection, user, &key)?;
    Ok(Some((holder.id, user.id)))
}

/// Who else has this key.
fn holder(connection: &mut Connection, key: &EmailKey, id: i64) -> QueryResult<Option<Keyed>> {
    on_backend!(connection, |connection| {
        let others = users::table.filter(users::id.ne(id)).select(Keyed::as_select());
        let holder = match key.unless_plain() {
            None => others.filter(users::email_key.eq(key.older())).first(connection),
            Some(key) => others.filter(users::address_key.eq(key)).first(connection),
        };
        holder.optional()
    })
}

fn give(connection: &mut Connection, user: &Keyed, key: &EmailKey) -> QueryResult<()> {
    set(connection, user, (key.older(), key.unless_plain(), None))
}

fn mark_duplicate(connection: &mut Connection, user: &Keyed, email_key: &str, of: i64) -> QueryResult<()> {
    set(connection, user, (email_key, None, Some(of)))
}

fn set(
    connection: &mut Connection,
    user: &Keyed,
    (email_key, address_key, duplicate_of): (&str, Option<&str>, Option<i64>),
) -> QueryResult<()> {
    let name_key = UserName::stored(user.name.clone()).key();
    let keys = (
        users::name_key.eq(name_key.as_str()),
        users::email_key.eq(email_key),
        users::address_key.eq(address_key),
        users::duplicate_of.eq(duplicate_of),
        users::has_keys.eq(true),
    );
    on_backend!(connection, |connection| diesel::update(users::table.find(user.id)).set(keys).execute(connection))
        .map(drop)
}

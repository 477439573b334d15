//! The table that stands in for indexes on SQLite. Triggers keep it up to date; this fills in the users from before, and
//! removes what is no longer wanted.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::IndexProgress;
use crate::domain::{AttributeFilter, AttributeName};
use crate::storage::database::connection::Connection;
use crate::storage::database::schema::tables::{event_log, events, users};

diesel::table! {
    /// The indexes that are kept up to date.
    attribute_indexes (name) {
        name -> Text,
        filled_to -> BigInt,
        is_complete -> Bool,
        is_dropped -> Bool,
    }
}

diesel::table! {
    /// Their entries.
    user_attributes (name, value, user_id) {
        name -> Text,
        value -> Text,
        user_id -> BigInt,
    }
}

diesel::table! {
    /// A view: the entries that users should have.
    user_attribute_values (name, user_id) {
        name -> Text,
        value -> Text,
        user_id -> BigInt,
    }
}

diesel::joinable!(user_attributes -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(user_attributes, users);
diesel::allow_tables_to_appear_in_same_query!(user_attributes, events);
diesel::allow_tables_to_appear_in_same_query!(user_attributes, event_log);

/// Users, or entries, per transaction: some milliseconds, for which other writers wait.
const BATCH: i64 = 1_000;

#[derive(Queryable, Selectable)]
#[diesel(table_name = attribute_indexes)]
struct State {
    filled_to: i64,
    is_complete: bool,
    is_dropped: bool,
}

impl State {
    fn read(sqlite: &mut SqliteConnection, name: &AttributeName) -> QueryResult<Option<Self>> {
        attribute_indexes::table.find(name.as_str()).select(Self::as_select()).first(sqlite).optional()
    }
}

/// Whether the indexes of all these attributes are complete, as the current transaction sees them.
pub(crate) fn are_complete(sqlite: &mut SqliteConnection, filters: &[AttributeFilter]) -> QueryResult<bool> {
    for filter in filters {
        let state = State::read(sqlite, &filter.name)?;
        if !state.is_some_and(|state| state.is_complete && !state.is_dropped) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How far the index is.
pub(super) fn progress(connection: &mut Connection, name: &AttributeName) -> QueryResult<IndexProgress> {
    let Connection::Sqlite(sqlite, _) = connection else { return Ok(IndexProgress::default()) };
    match State::read(sqlite, name)? {
        Some(State { is_complete: true, is_dropped: false, .. }) => Ok(IndexProgress::COMPLETE),
        Some(State { filled_to, is_dropped: false, .. }) => {
            let last: Option<i64> = users::table.select(diesel::dsl::max(users::id)).first(sqlite)?;
            Ok(IndexProgress::part(filled_to, last.unwrap_or_default()))
        }
        Some(State { is_dropped: true, .. }) | None => Ok(IndexProgress::default()),
    }
}

/// Makes a part of the index, or of the way to begin it.
pub(super) fn go_on(connection: &mut Connection, name: &AttributeName) -> QueryResult<IndexProgress> {
    connection.write_no_user(|connection| {
        let Connection::Sqlite(sqlite, _) = connection else { return Ok(()) };
        match State::read(sqlite, name)? {
            None => begin(sqlite, name),
            // An entry that is left over may be out of date by now.
            Some(state) if state.is_dropped => remove_entries(sqlite, name).map(drop),
            Some(state) if state.is_complete => Ok(()),
            Some(state) => fill(sqlite, name, state.filled_to),
        }
    })?;
    progress(connection, name)
}

fn begin(sqlite: &mut SqliteConnection, name: &AttributeName) -> QueryResult<()> {
    diesel::insert_into(attribute_indexes::table)
        .values(attribute_indexes::name.eq(name.as_str()))
        .execute(sqlite)
        .map(drop)
}

fn fill(sqlite: &mut SqliteConnection, name: &AttributeName, filled_to: i64) -> QueryResult<()> {
    let index = diesel::update(attribute_indexes::table.find(name.as_str()));
    let next = users::table.filter(users::id.gt(filled_to)).order(users::id).limit(BATCH).select(users::id);
    let Some(last) = next.load::<i64>(sqlite)?.pop() else {
        return index.set(attribute_indexes::is_complete.eq(true)).execute(sqlite).map(drop);
    };
    let values = user_attribute_values::table
        .filter(user_attribute_values::name.eq(name.as_str()))
        .filter(user_attribute_values::user_id.gt(filled_to).and(user_attribute_values::user_id.le(last)))
        .select((user_attribute_values::name, user_attribute_values::value, user_attribute_values::user_id));
    diesel::insert_or_ignore_into(user_attributes::table)
        .values(values)
        .into_columns((user_attributes::name, user_attributes::value, user_attributes::user_id))
        .execute(sqlite)?;
    index.set(attribute_indexes::filled_to.eq(last)).execute(sqlite).map(drop)
}

/// Marks the index as dropped. Returns false if there is none.
pub(super) fn mark_dropped(connection: &mut Connection, name: &AttributeName) -> QueryResult<bool> {
    connection.write_no_user(|connection| {
        let Connection::Sqlite(sqlite, _) = connection else { return Ok(false) };
        let index = diesel::update(attribute_indexes::table.find(name.as_str()));
        Ok(index.set(attribute_indexes::is_dropped.eq(true)).execute(sqlite)? > 0)
    })
}

/// Removes some entries of a dropped index, and at last the index. Returns whether it is gone.
pub(super) fn remove_some(connection: &mut Connection, name: &AttributeName) -> QueryResult<bool> {
    connection.write_no_user(|connection| {
        let Connection::Sqlite(sqlite, _) = connection else { return Ok(true) };
        match State::read(sqlite, name)? {
            Some(state) if state.is_dropped => remove_entries(sqlite, name),
            // A service may have begun it anew.
            _ => Ok(true),
        }
    })
}

fn remove_entries(sqlite: &mut SqliteConnection, name: &AttributeName) -> QueryResult<bool> {
    // By ranges of values: Diesel has no rows as values, and SQLite no limit for DELETE.
    let entries = user_attributes::table.filter(user_attributes::name.eq(name.as_str()));
    let place = (user_attributes::value, user_attributes::user_id);
    let last: Option<(String, i64)> = entries.order(place).offset(BATCH - 1).select(place).first(sqlite).optional()?;
    let Some((value, user_id)) = last else {
        diesel::delete(entries).execute(sqlite)?;
        let index = attribute_indexes::table.filter(attribute_indexes::name.eq(name.as_str()));
        return diesel::delete(index.filter(attribute_indexes::is_dropped)).execute(sqlite).map(|_| true);
    };
    diesel::delete(entries.filter(user_attributes::value.lt(&value))).execute(sqlite)?;
    let same = entries.filter(user_attributes::value.eq(&value));
    diesel::delete(same.filter(user_attributes::user_id.le(user_id))).execute(sqlite)?;
    Ok(false)
}

//! Page queries. Each is a statement of its own, in a lane of its own: a slow page never stands before a look-up.

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, SqlOrd, SqlType, Text};

use super::batch_error::BatchError;
use super::connection::{Connection, on_backend};
use super::lane::{Ran, Request};
use super::locks::Locks;
use super::row::UserRow;
use super::schema::users;
use super::unstorable::is_unstorable;
use crate::users::{Error, Folded, Page, PageQuery, Start, User, UserId};

impl Request for PageQuery {
    type Answer = Page;

    const UNANSWERED: Error = Error::Unavailable;

    // A page gains nothing from its neighbours, and must not wait for them.
    const MAX_BATCH: usize = 1;

    fn run(connection: &mut Connection, batch: &[&Self], _: Locks) -> Result<Vec<Ran<Self>>, BatchError> {
        let read = |query: &&Self| {
            let page = read_page(connection, query).or_else(|error| nobody_is_named_so(connection, query, error));
            page.map(Ok).map(Ran::Executed)
        };
        Ok(batch.iter().map(read).collect::<QueryResult<_>>()?)
    }
}

/// The page for a prefix that the database's encoding has no place for; else the failure.
fn nobody_is_named_so(connection: &mut Connection, query: &PageQuery, error: DieselError) -> QueryResult<Page> {
    let Start::ByName { prefix, .. } = &query.start else { return Err(error) };
    // A transaction that failed must have ended before anything else is asked.
    let is_sound = connection.recover();
    let Connection::Postgres(postgres) = connection else { return Err(error) };
    if is_sound && is_unstorable(postgres, prefix.as_str(), &error) {
        Ok(Page { users: Vec::new(), more: false, total: query.count.then_some(0) })
    } else {
        Err(error)
    }
}

/// Without a count the page is one statement, and so a transaction of its own accord.
fn read_page(connection: &mut Connection, query: &PageQuery) -> QueryResult<Page> {
    if !query.count {
        return read_users(connection, query);
    }
    connection.read_transaction(|connection| {
        Ok(Page { total: Some(count(connection, &query.start)?), ..read_users(connection, query)? })
    })
}

fn read_users(connection: &mut Connection, query: &PageQuery) -> QueryResult<Page> {
    let size = usize::from(query.size.get());
    // One more than asked for tells whether there is a next page.
    let limit = i64::from(query.size.get()) + 1;
    let mut rows = match &query.start {
        Start::Offset(offset) => by_offset(connection, *offset, limit),
        Start::AfterId(id) => after_id(connection, *id, limit),
        Start::ByName { prefix, after } => by_name(connection, prefix, after.as_ref(), limit),
    }?;
    let more = rows.len() > size;
    rows.truncate(size);
    Ok(Page { users: rows.into_iter().map(User::from).collect(), more, total: None })
}

fn by_offset(connection: &mut Connection, offset: i64, limit: i64) -> QueryResult<Vec<UserRow>> {
    on_backend!(connection, |connection| {
        users::table.order(users::id).offset(offset).limit(limit).select(UserRow::as_select()).load(connection)
    })
}

fn after_id(connection: &mut Connection, id: UserId, limit: i64) -> QueryResult<Vec<UserRow>> {
    on_backend!(connection, |connection| {
        let after = users::table.filter(users::id.gt(id.get()));
        after.order(users::id).limit(limit).select(UserRow::as_select()).load(connection)
    })
}

fn by_name(
    connection: &mut Connection,
    prefix: &Folded,
    after: Option<&(Folded, UserId)>,
    limit: i64,
) -> QueryResult<Vec<UserRow>> {
    // Ids start at 1: (prefix, 0) comes before every name that starts with the prefix.
    let (name, id) = after.map_or((prefix, 0), |(name, id)| (name, id.get()));
    let here = position(users::name_key, users::id);
    on_backend!(connection, |connection| {
        let mut query = users::table
            .filter(here.gt(position(name.as_str(), id)))
            .order((users::name_key, users::id))
            .limit(limit)
            .select(UserRow::as_select())
            .into_boxed();
        if let Some(end) = prefix.end_of_prefix() {
            query = query.filter(users::name_key.lt(end));
        }
        query.load(connection)
    })
}

fn count(connection: &mut Connection, start: &Start) -> QueryResult<i64> {
    on_backend!(connection, |connection| {
        let mut query = users::table.into_boxed();
        if let Start::ByName { prefix, .. } = start {
            query = query.filter(users::name_key.ge(prefix.as_str()));
            if let Some(end) = prefix.end_of_prefix() {
                query = query.filter(users::name_key.lt(end));
            }
        }
        query.count().get_result(connection)
    })
}

/// The SQL type of a row value such as `(name_key, id)`. Comparing two of them is one step into an index; the same spelt
/// with AND and OR makes PostgreSQL read all users of one name to find the place among them.
///
/// `pub` only because the function below becomes so; this module is private.
#[derive(SqlType)]
#[diesel(postgres_type(name = "record"), sqlite_type(name = "Binary"))]
pub struct Position;

impl SqlOrd for Position {}

#[diesel::declare_sql_function]
extern "SQL" {
    /// A row value is written as a call of a function without a name; Diesel has no other way to say it on both databases.
    #[sql_name = ""]
    fn position(name_key: Text, id: BigInt) -> Position;
}

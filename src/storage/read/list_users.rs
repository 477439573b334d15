//! Page queries. Each is one statement and one batch, in a separate lane, because page queries gain nothing from
//! each other. So one actor would leave PostgreSQL idle while it reads a response, and there are two by default.

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, SqlOrd, SqlType, Text};

use crate::domain::{AsOf, Error, Folded, NamePrefix, Page, PageQuery, Position, Start, User, UserId};
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::log_end::log_end;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::database::unstorable_text::is_unstorable;
use crate::storage::engine::request::{Execution, Request};

impl Request for PageQuery {
    type Answer = AsOf<Page>;

    const UNANSWERED: Error = Error::Unavailable;

    // Page queries gain nothing from sharing a transaction, and must not wait for each other.
    const MAX_BATCH: usize = 1;

    fn run(connection: &mut Connection, batch: &[&Self], _: LockPolicy) -> Result<Vec<Execution<Self>>, BatchError> {
        let read = |query: &&Self| {
            let page = read_page(connection, query).or_else(|error| empty_if_unstorable(connection, query, error));
            page.map(Ok).map(Execution::Executed)
        };
        Ok(batch.iter().map(read).collect::<QueryResult<_>>()?)
    }
}

/// An empty page if the database cannot store the prefix; otherwise the failure itself.
fn empty_if_unstorable(connection: &mut Connection, query: &PageQuery, error: DieselError) -> QueryResult<AsOf<Page>> {
    let Start::ByName { prefix, .. } = &query.start else { return Err(error) };
    // A failed transaction must end before the next statement.
    let is_sound = connection.recover();
    if is_sound && !prefix.legacy().is_empty() {
        // It may be a legacy prefix that cannot be stored.
        let query = query.clone().without_legacy_prefixes();
        return read_page(connection, &query).or_else(|error| empty_if_unstorable(connection, &query, error));
    }
    let Connection::Postgres(postgres, _) = connection else { return Err(error) };
    if is_sound && is_unstorable(postgres, prefix.key().as_str(), &error) {
        let end = diesel::select(log_end()).get_result(postgres)?;
        let page = Page { users: Vec::new(), more: false, last_name: None, total: query.count.then_some(0) };
        Ok(AsOf::latest(page, Position(end)))
    } else {
        Err(error)
    }
}

/// Without a count the page is one statement, and so one transaction.
pub(crate) fn read_page(connection: &mut Connection, query: &PageQuery) -> QueryResult<AsOf<Page>> {
    if !query.count {
        return read_users(connection, query);
    }
    connection.read_transaction(|connection| {
        let total = Some(count(connection, &query.start)?);
        Ok(read_users(connection, query)?.map(|page| Page { total, ..page }))
    })
}

fn read_users(connection: &mut Connection, query: &PageQuery) -> QueryResult<AsOf<Page>> {
    let size = usize::from(query.size.get());
    // One more row than asked for shows whether there is a next page.
    let limit = i64::from(query.size.get()) + 1;
    let (mut rows, mut names) = match &query.start {
        Start::Offset(offset) => (by_offset(connection, *offset, limit)?, Vec::new()),
        Start::AfterId(id) => (after_id(connection, *id, limit)?, Vec::new()),
        Start::ByName { prefix, after } => by_name(connection, prefix, after.as_ref(), limit)?.into_iter().unzip(),
    };
    let end = match rows.first() {
        // The last of several statements may have found nobody.
        Some((_, end)) if query.start.is_one_range() => *end,
        _ => on_backend!(connection, |connection| diesel::select(log_end()).get_result(connection))?,
    };
    let more = rows.len() > size;
    rows.truncate(size);
    names.truncate(size);
    let last_name = names.pop().map(Folded::stored);
    let users = rows.into_iter().map(|(row, _)| User::from(row)).collect();
    Ok(AsOf::latest(Page { users, more, last_name, total: None }, Position(end)))
}

/// A user, and the end of the log.
type Row = (UserRow, i64);

fn by_offset(connection: &mut Connection, offset: i64, limit: i64) -> QueryResult<Vec<Row>> {
    on_backend!(connection, |connection| {
        let these = users::table.order(users::id).offset(offset).limit(limit);
        these.select((UserRow::as_select(), log_end())).load(connection)
    })
}

fn after_id(connection: &mut Connection, id: UserId, limit: i64) -> QueryResult<Vec<Row>> {
    on_backend!(connection, |connection| {
        let after = users::table.filter(users::id.gt(id.get()));
        after.order(users::id).limit(limit).select((UserRow::as_select(), log_end())).load(connection)
    })
}

/// The users of a page, each with its name key. Reads one range of the index after the other.
fn by_name(
    connection: &mut Connection,
    prefix: &NamePrefix,
    after: Option<&(Folded, UserId)>,
    limit: i64,
) -> QueryResult<Vec<(Row, String)>> {
    let mut rows = Vec::new();
    for range in ranges(prefix) {
        let missing = limit - i64::try_from(rows.len()).unwrap_or(limit);
        // A page that stopped in an earlier range starts this one at its beginning.
        let after = after.filter(|(name, _)| name >= range);
        if missing > 0 {
            rows.extend(read_range(connection, range, after, missing)?);
        }
    }
    Ok(rows)
}

fn read_range(
    connection: &mut Connection,
    prefix: &Folded,
    after: Option<&(Folded, UserId)>,
    limit: i64,
) -> QueryResult<Vec<(Row, String)>> {
    // Ids start at 1, so (prefix, 0) sorts before every name with the prefix.
    let (name, id) = after.map_or((prefix, 0), |(name, id)| (name, id.get()));
    let row = row_value(users::name_key, users::id);
    let rows = on_backend!(connection, |connection| {
        let mut query = users::table
            .filter(row.gt(row_value(name.as_str(), id)))
            .order((users::name_key, users::id))
            .limit(limit)
            .select((UserRow::as_select(), log_end(), users::name_key))
            .into_boxed();
        if let Some(end) = prefix.end_of_prefix() {
            query = query.filter(users::name_key.lt(end));
        }
        query.load::<(UserRow, i64, String)>(connection)
    })?;
    Ok(rows.into_iter().map(|(row, end, name)| ((row, end), name)).collect())
}

/// The prefixes of the keys of all matching names, in key order. There are several if an earlier release has made some
/// keys. None is a prefix of another.
fn ranges(prefix: &NamePrefix) -> Vec<&Folded> {
    let mut ranges = Vec::from_iter([prefix.key()].into_iter().chain(prefix.legacy()));
    ranges.sort_unstable();
    ranges
}

/// Counts the users of all pages together.
pub(crate) fn count(connection: &mut Connection, start: &Start) -> QueryResult<i64> {
    let Start::ByName { prefix, .. } = start else {
        return on_backend!(connection, |connection| users::table.count().get_result(connection));
    };
    ranges(prefix).into_iter().map(|range| count_range(connection, range)).sum()
}

fn count_range(connection: &mut Connection, prefix: &Folded) -> QueryResult<i64> {
    on_backend!(connection, |connection| {
        let mut query = users::table.filter(users::name_key.ge(prefix.as_str())).into_boxed();
        if let Some(end) = prefix.end_of_prefix() {
            query = query.filter(users::name_key.lt(end));
        }
        query.count().get_result(connection)
    })
}

/// The SQL type of a row value such as `(name_key, id)`. Comparing two row values is one step into an index; with AND
/// and OR instead, PostgreSQL would read all users of one name to find the position among them.
///
/// `pub` only because the function below becomes so; this module is private.
#[derive(SqlType)]
#[diesel(postgres_type(name = "record"), sqlite_type(name = "Binary"))]
pub struct RowValue;

impl SqlOrd for RowValue {}

#[diesel::declare_sql_function]
extern "SQL" {
    /// A row value is a call of a function without a name: Diesel has no other way to write it for both databases.
    #[sql_name = ""]
    fn row_value(name_key: Text, id: BigInt) -> RowValue;
}

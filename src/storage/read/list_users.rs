//! Page queries. Each is one statement and one batch, in a separate lane, because page queries gain nothing from
//! each other. So one actor would leave PostgreSQL idle while it reads a response, and there are two by default.

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, SqlOrd, SqlType, Text};

use crate::domain::{
    AsOf, AttributeFilter, Error, Folded, Last, NamePrefix, OrderBy, Page, PageFilter, PageQuery, Position, Start,
    Status, User,
};
use crate::storage::database::attribute_indexes::filter::{HasAttribute, are_complete, user_attributes};
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::database::connection::{Connection, on_backend};
use crate::storage::database::schema::log_end::log_end;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::database::unstorable_text::is_unstorable;
use crate::storage::database::user_count;
use crate::storage::engine::request::{Execution, Request};

impl Request for PageQuery {
    type Answer = AsOf<Page>;

    const UNANSWERED: Error = Error::Unavailable;

    // Page queries gain nothing from sharing a transaction, and must not wait for each other.
    const MAX_BATCH: usize = 1;

    fn run(connection: &mut Connection, batch: &[&Self], _: LockPolicy) -> Result<Vec<Execution<Self>>, BatchError> {
        let read = |query: &&Self| {
            let page = read_indexed(connection, query);
            page.or_else(|error| empty_if_unstorable(connection, query, error).map(Ok)).map(Execution::Executed)
        };
        Ok(batch.iter().map(read).collect::<QueryResult<_>>()?)
    }
}

/// Reads a page, unless it needs an index that is not complete. The keeper may not have noticed yet that one is dropped: on
/// SQLite its entries go with it, on PostgreSQL such a page is only slow.
fn read_indexed(connection: &mut Connection, query: &PageQuery) -> QueryResult<Result<AsOf<Page>, Error>> {
    if query.filter.attributes.is_empty() || matches!(connection, Connection::Postgres(..)) {
        return read_page(connection, query).map(Ok);
    }
    connection.read_transaction(|connection| {
        let Connection::Sqlite(sqlite, _) = connection else { return read_page(connection, query).map(Ok) };
        if are_complete(sqlite, &query.filter.attributes)? {
            read_page(connection, query).map(Ok)
        } else {
            Ok(Err(Error::IndexNotReady))
        }
    })
}

/// An empty page if the database cannot store a text of the query; otherwise the failure itself.
fn empty_if_unstorable(connection: &mut Connection, query: &PageQuery, error: DieselError) -> QueryResult<AsOf<Page>> {
    // A failed transaction must end before the next statement.
    let is_sound = connection.recover();
    let prefix = query.filter.name_prefix.as_ref();
    if is_sound && prefix.is_some_and(|prefix| !prefix.legacy().is_empty()) {
        // It may be a legacy prefix that cannot be stored.
        let query = query.clone().without_legacy_prefixes();
        return read_page(connection, &query).or_else(|error| empty_if_unstorable(connection, &query, error));
    }
    let Connection::Postgres(postgres, _) = connection else { return Err(error) };
    let last = if let Start::After { last: Some(last), .. } = &query.start { last.key.as_deref() } else { None };
    let values = query.filter.attributes.iter().map(AttributeFilter::value);
    let mut texts = prefix.map(|prefix| prefix.key().as_str()).into_iter().chain(last).chain(values);
    if is_sound && texts.any(|text| is_unstorable(postgres, text, &error)) {
        let end = diesel::select(log_end()).get_result(postgres)?;
        let page = Page { users: Vec::new(), next: None, total: query.count.then_some(0) };
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
        let total = Some(count(connection, &query.filter)?);
        Ok(read_users(connection, query)?.map(|page| Page { total, ..page }))
    })
}

/// The most users that a page examines whose filter no index serves. So nobody can make the database scan.
const MAX_EXAMINED: usize = 1_000;
/// How many of them are read at once.
const EXAMINED_AT_ONCE: i64 = 100;

fn read_users(connection: &mut Connection, query: &PageQuery) -> QueryResult<AsOf<Page>> {
    let size = usize::from(query.size.get());
    let Path { range, rest } = Path::of(query);
    let (rows, cut, end) = if rest == PageFilter::default() {
        // One more row than asked for shows whether there is a next page.
        let rows = range.read(connection, &query.start, i64::from(query.size.get()) + 1)?;
        // The last of several statements may have found nobody.
        let end = rows.first().filter(|_| range.is_one()).map(|row| row.end);
        (rows, None, end)
    } else {
        examine(connection, &query.start, &range, &rest, size)?
    };
    let end = match end {
        Some(end) => end,
        None => on_backend!(connection, |connection| diesel::select(log_end()).get_result(connection))?,
    };
    let last = rows.get(size.wrapping_sub(1)).filter(|_| rows.len() > size);
    let next = last.map(Row::last).or(cut);
    let users = rows.into_iter().take(size).map(|row| row.user).collect();
    Ok(AsOf::latest(Page { users, next, total: None }, Position(end)))
}

/// How a page is read: the range of an index, and what is left of the filter to examine in each row.
struct Path<'a> {
    range: Range<'a>,
    rest: PageFilter,
}

/// The users that an index has next to each other, in the order of the page.
enum Range<'a> {
    All,
    /// With this status, by id.
    Status(i16),
    /// With this attribute, by id.
    Attribute(&'a AttributeFilter),
    /// By name.
    Prefix(&'a NamePrefix),
}

impl<'a> Path<'a> {
    fn of(query: &'a PageQuery) -> Self {
        let by = if let Start::After { order, .. } = &query.start { order.by } else { OrderBy::Id };
        let mut rest = query.filter.clone();
        let PageFilter { name_prefix, status, attributes } = &query.filter;
        let range = match (by, name_prefix, attributes.first(), status.and_then(Status::code)) {
            (OrderBy::Name, Some(prefix), _, _) => {
                rest.name_prefix = None;
                Range::Prefix(prefix)
            }
            (OrderBy::Id, _, Some(attribute), _) => {
                rest.attributes.remove(0);
                Range::Attribute(attribute)
            }
            // Only a few users have another status than the usual one, so there is an index of these.
            (OrderBy::Id, _, None, Some(code)) => {
                rest.status = None;
                Range::Status(code)
            }
            _ => Range::All,
        };
        Self { range, rest }
    }
}

/// Reads on until a page is full, or enough users are examined. Returns after whom to go on, if the latter ended it, and the
/// end of the log as of the first statement: those after it show no less.
fn examine(
    connection: &mut Connection,
    start: &Start,
    range: &Range<'_>,
    filter: &PageFilter,
    size: usize,
) -> QueryResult<(Vec<Row>, Option<Last>, Option<i64>)> {
    let at_once = EXAMINED_AT_ONCE.max(i64::try_from(size).unwrap_or(i64::MAX) + 1);
    let (mut found, mut examined, mut start) = (Vec::new(), 0, start.clone());
    let mut end = None;
    loop {
        let rows = range.read(connection, &start, at_once)?;
        let last = rows.last().filter(|_| i64::try_from(rows.len()) == Ok(at_once)).map(Row::last);
        examined += rows.len();
        end = end.or(rows.first().filter(|_| range.is_one()).map(|row| row.end));
        found.extend(rows.into_iter().filter(|row| row.matches(filter)));
        match last {
            Some(last) if found.len() <= size && examined < MAX_EXAMINED => start = start.after(last),
            last => return Ok((found, last, end)),
        }
    }
}

/// A row of a page.
struct Row {
    user: User,
    /// The end of the log.
    end: i64,
    /// The key by which the page is ordered, unless that is the id.
    key: Option<String>,
}

impl Row {
    fn last(&self) -> Last {
        Last { id: self.user.id, key: self.key.clone() }
    }

    fn matches(&self, PageFilter { name_prefix, status, attributes }: &PageFilter) -> bool {
        status.is_none_or(|status| status == self.user.status())
            && name_prefix.as_ref().is_none_or(|prefix| prefix.matches(&self.user))
            && attributes.iter().all(|attribute| attribute.matches(&self.user))
    }
}

impl Range<'_> {
    /// Whether it is one range of the index.
    fn is_one(&self) -> bool {
        !matches!(self, Self::Prefix(prefix) if !prefix.legacy().is_empty())
    }

    fn read(&self, connection: &mut Connection, start: &Start, limit: i64) -> QueryResult<Vec<Row>> {
        let (order, last) = match start {
            Start::Offset(offset) => return by_offset(connection, *offset, limit),
            Start::After { order, last } => (order, last.as_ref()),
        };
        match (order.by, self) {
            (OrderBy::Id, Self::Attribute(attribute)) => {
                by_attribute(connection, attribute, order.descending, last, limit)
            }
            (OrderBy::Id, Self::Status(code)) => by_id(connection, Some(*code), order.descending, last, limit),
            (OrderBy::Id, _) if order.descending => by_id(connection, None, true, last, limit),
            (OrderBy::Id, _) => after_id(connection, last.map_or(0, |last| last.id.get()), limit),
            (OrderBy::Email, _) => by_email(connection, order.descending, last, limit),
            (OrderBy::Name, Self::Prefix(prefix)) => by_prefix(connection, prefix, order.descending, last, limit),
            (OrderBy::Name, _) => by_name(connection, &Folded::default(), order.descending, last, limit),
        }
    }
}

fn by_offset(connection: &mut Connection, offset: i64, limit: i64) -> QueryResult<Vec<Row>> {
    let rows = on_backend!(connection, |connection| {
        let these = users::table.order(users::id).offset(offset).limit(limit);
        these.select((UserRow::as_select(), log_end())).load(connection)
    })?;
    Ok(rows.into_iter().map(without_key).collect())
}

/// The usual page. As a statement of its own, Diesel knows it without comparing its text.
fn after_id(connection: &mut Connection, id: i64, limit: i64) -> QueryResult<Vec<Row>> {
    let rows = on_backend!(connection, |connection| {
        let after = users::table.filter(users::id.gt(id));
        after.order(users::id).limit(limit).select((UserRow::as_select(), log_end())).load(connection)
    })?;
    Ok(rows.into_iter().map(without_key).collect())
}

fn by_id(
    connection: &mut Connection,
    status: Option<i16>,
    descending: bool,
    last: Option<&Last>,
    limit: i64,
) -> QueryResult<Vec<Row>> {
    let rows = on_backend!(connection, |connection| {
        let mut query = users::table.select((UserRow::as_select(), log_end())).limit(limit).into_boxed();
        if let Some(status) = status {
            query = query.filter(users::status.eq(status));
        }
        query = match last.map(|last| last.id.get()) {
            Some(id) if descending => query.filter(users::id.lt(id)),
            Some(id) => query.filter(users::id.gt(id)),
            None => query,
        };
        query = if descending { query.order(users::id.desc()) } else { query.order(users::id.asc()) };
        query.load(connection)
    })?;
    Ok(rows.into_iter().map(without_key).collect())
}

fn by_attribute(
    connection: &mut Connection,
    attribute: &AttributeFilter,
    descending: bool,
    last: Option<&Last>,
    limit: i64,
) -> QueryResult<Vec<Row>> {
    let last = last.map(|last| last.id.get());
    let has_it = HasAttribute::new(connection, attribute);
    let rows = match connection {
        Connection::Sqlite(sqlite, _) => {
            let id = user_attributes::user_id;
            let entries = user_attributes::table.inner_join(users::table).filter(
                user_attributes::name.eq(attribute.name.as_str()).and(user_attributes::value.eq(attribute.value())),
            );
            let mut query = entries.select((UserRow::as_select(), log_end())).limit(limit).into_boxed();
            query = match last {
                Some(last) if descending => query.filter(id.lt(last)),
                Some(last) => query.filter(id.gt(last)),
                None => query,
            };
            query = if descending { query.order(id.desc()) } else { query.order(id.asc()) };
            query.load(sqlite)
        }
        Connection::Postgres(postgres, _) => {
            let all = users::table.select((UserRow::as_select(), log_end()));
            let mut query = all.filter(has_it).limit(limit).into_boxed();
            query = match last {
                Some(last) if descending => query.filter(users::id.lt(last)),
                Some(last) => query.filter(users::id.gt(last)),
                None => query,
            };
            query = if descending { query.order(users::id.desc()) } else { query.order(users::id.asc()) };
            query.load(postgres)
        }
    }?;
    Ok(rows.into_iter().map(without_key).collect())
}

fn by_email(connection: &mut Connection, descending: bool, last: Option<&Last>, limit: i64) -> QueryResult<Vec<Row>> {
    let rows = on_backend!(connection, |connection| {
        let columns = (UserRow::as_select(), log_end(), users::email_key);
        let mut query = users::table.select(columns).limit(limit).into_boxed();
        query = match last.and_then(|last| last.key.as_deref()) {
            Some(key) if descending => query.filter(users::email_key.lt(key)),
            Some(key) => query.filter(users::email_key.gt(key)),
            None => query,
        };
        query = if descending { query.order(users::email_key.desc()) } else { query.order(users::email_key.asc()) };
        query.load(connection)
    })?;
    Ok(rows.into_iter().map(with_key).collect())
}

/// The users whose names have a prefix. Reads one range of the index after the other.
fn by_prefix(
    connection: &mut Connection,
    prefix: &NamePrefix,
    descending: bool,
    last: Option<&Last>,
    limit: i64,
) -> QueryResult<Vec<Row>> {
    let mut rows = Vec::new();
    for range in ranges(prefix, descending) {
        let missing = limit - i64::try_from(rows.len()).unwrap_or(limit);
        // A page that stopped in an earlier range starts this one at its beginning.
        let is_within = |last: &&Last| {
            let key = last.key.as_deref().unwrap_or_default();
            if descending { range.end_of_prefix().is_none_or(|end| *key < *end) } else { key >= range.as_str() }
        };
        if missing > 0 {
            rows.extend(by_name(connection, range, descending, last.filter(is_within), missing)?);
        }
    }
    Ok(rows)
}

fn by_name(
    connection: &mut Connection,
    prefix: &Folded,
    descending: bool,
    last: Option<&Last>,
    limit: i64,
) -> QueryResult<Vec<Row>> {
    let row = row_value(users::name_key, users::id);
    let rows = on_backend!(connection, |connection| {
        let columns = (UserRow::as_select(), log_end(), users::name_key);
        let mut query = users::table.select(columns).limit(limit).into_boxed();
        query = match last.and_then(|last| Some((last.key.as_deref()?, last.id.get()))) {
            Some((key, id)) if descending => query.filter(row.lt(row_value(key, id))),
            Some((key, id)) => query.filter(row.gt(row_value(key, id))),
            None => query,
        };
        if descending || last.is_none() {
            query = query.filter(users::name_key.ge(prefix.as_str()));
        }
        if let Some(end) = prefix.end_of_prefix() {
            query = query.filter(users::name_key.lt(end));
        }
        query = if descending {
            query.order((users::name_key.desc(), users::id.desc()))
        } else {
            query.order((users::name_key.asc(), users::id.asc()))
        };
        query.load(connection)
    })?;
    Ok(rows.into_iter().map(with_key).collect())
}

fn without_key((user, end): (UserRow, i64)) -> Row {
    Row { user: user.into(), end, key: None }
}

fn with_key((user, end, key): (UserRow, i64, String)) -> Row {
    Row { user: user.into(), end, key: Some(key) }
}

/// The prefixes of the keys of all matching names, in key order. There are several if an earlier release has made some
/// keys. None is a prefix of another.
fn ranges(prefix: &NamePrefix, descending: bool) -> Vec<&Folded> {
    let mut ranges = Vec::from_iter([prefix.key()].into_iter().chain(prefix.legacy()));
    ranges.sort_unstable();
    if descending {
        ranges.reverse();
    }
    ranges
}

/// The number of users of all pages together. Without a filter it is known; otherwise they are counted one by one.
pub(crate) fn count(connection: &mut Connection, filter: &PageFilter) -> QueryResult<i64> {
    if *filter == PageFilter::default()
        && let Some(total) = user_count::read(connection)?
    {
        return Ok(total);
    }
    let Some(prefix) = &filter.name_prefix else { return count_range(connection, None, filter) };
    ranges(prefix, false).into_iter().map(|range| count_range(connection, Some(range), filter)).sum()
}

/// Counts the users of one range of names. The filter's own prefix does not count.
fn count_range(connection: &mut Connection, prefix: Option<&Folded>, filter: &PageFilter) -> QueryResult<i64> {
    let attributes = Vec::from_iter(filter.attributes.iter().map(|attribute| HasAttribute::new(connection, attribute)));
    on_backend!(connection, |connection| {
        let mut query = users::table.into_boxed();
        for has_it in attributes {
            query = query.filter(has_it);
        }
        if let Some(prefix) = prefix {
            query = query.filter(users::name_key.ge(prefix.as_str()));
        }
        if let Some(end) = prefix.and_then(Folded::end_of_prefix) {
            query = query.filter(users::name_key.lt(end));
        }
        match filter.status.map(Status::code) {
            None => {}
            Some(None) => query = query.filter(users::status.is_null()),
            Some(code) => query = query.filter(users::status.eq(code)),
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

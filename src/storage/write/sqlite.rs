//! A batch of writes on SQLite: one transaction, in which the writes run in the order of arrival.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamp as SqlTimestamp};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::{Create, Delete, Update, Write};
use crate::domain::{Error, Timestamp, User, UserId, Version};
use crate::storage::database::batch_error::BatchError;
use crate::storage::database::connection::write_and_commit;
use crate::storage::database::row::{Moment, UserColumns, UserRow};
use crate::storage::database::schema::users;
use crate::storage::engine::lane::Ran;
use crate::storage::event_log::event_row::Kind;
use crate::storage::event_log::record::{Stamp, record_created, record_one};

/// Runs a batch in the transaction that was begun, and commits it.
pub(super) fn write_batch(sqlite: &mut SqliteConnection, batch: &[&Write]) -> Result<Vec<Ran<Write>>, BatchError> {
    write_and_commit(sqlite, |sqlite| write_in_order(sqlite, batch, Stamp::now()))
}

/// On SQLite a statement costs no round trip, so each message has statements of its own, in the order of arrival; but creates
/// that follow each other share some.
fn write_in_order(sqlite: &mut SqliteConnection, batch: &[&Write], stamp: Stamp) -> QueryResult<Vec<Ran<Write>>> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for run in batch.chunk_by(|one, next| one.create().is_some() && next.create().is_some()) {
        match run {
            [Write::Update(update)] => outcomes.push(update_one(sqlite, update, stamp)?),
            [Write::Delete(delete)] => outcomes.push(delete_one(sqlite, delete, stamp)?),
            creates => {
                let rows = Vec::from_iter(creates.iter().filter_map(|write| write.create()));
                outcomes.extend(create_in_order(sqlite, &rows, stamp)?);
            }
        }
    }
    Ok(outcomes.into_iter().map(Ran::Executed).collect())
}

/// Creates users in the order given, and records that. Of those with the same address the first is created.
fn create_in_order(
    sqlite: &mut SqliteConnection,
    rows: &[&Create],
    stamp: Stamp,
) -> QueryResult<Vec<Result<User, Error>>> {
    let mut created = insert_in_order(sqlite, rows, stamp.now)?;
    let ids = created.values().copied().min().zip(created.values().copied().max());
    let outcomes = Vec::from_iter(
        rows.iter()
            .map(|row| created.remove(row.email()).map(|id| row.stored_as(id, stamp.now)).ok_or(Error::EmailTaken)),
    );
    if rows.iter().any(|row| row.trace().is_some()) {
        // What an event has besides its user's row fits into no statement for all of them; so callers that send traces pay
        // for an event each.
        for (row, outcome) in rows.iter().zip(&outcomes) {
            if let Ok(user) = outcome {
                record_one(sqlite, Kind::Created, user, row.trace(), stamp)?;
            }
        }
    } else if let Some((first, last)) = ids {
        record_created(sqlite, first..=last, stamp)?;
    }
    Ok(outcomes)
}

/// Inserts rows in the order given, but for those whose address is there already.
pub(crate) fn insert_in_order(sqlite: &mut SqliteConnection, rows: &[&Create], now: Timestamp) -> QueryResult<Created> {
    let mut created = Created::with_capacity(rows.len());
    for rows in rows.chunks(InsertSome::MAX_ROWS) {
        created.extend(InsertSome::new(rows, now).load::<(String, i64)>(sqlite)?);
    }
    Ok(created)
}

/// SQL text, because Diesel never keeps an INSERT of many rows prepared.
struct InsertSome<'a> {
    rows: &'a [&'a Create],
    address_keys: Vec<Option<&'a str>>,
    now: Moment,
}

impl<'a> InsertSome<'a> {
    /// Enough for what a statement costs of itself to be shared by many; few enough for a statement of each length to be
    /// kept prepared.
    const MAX_ROWS: usize = 16;

    fn new(rows: &'a [&'a Create], now: Timestamp) -> Self {
        let address_keys = rows.iter().map(|row| row.email_key().unless_plain()).collect();
        Self { rows, address_keys, now: Moment(now) }
    }
}

impl QueryFragment<Sqlite> for InsertSome<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO users (name, name_key, email, email_key, address_key, has_keys, version, created_at, updated_at)
            SELECT new.column1, new.column2, new.column3, new.column4, new.column5, true, 1, moment.now, moment.now
            FROM (SELECT ",
        );
        out.push_bind_param::<SqlTimestamp, _>(&self.now)?;
        out.push_sql(" AS now) AS moment, (VALUES ");
        for (at, (row, address_key)) in self.rows.iter().zip(&self.address_keys).enumerate() {
            out.push_sql(if at == 0 { "(" } else { ", (" });
            out.push_bind_param::<Text, _>(row.name())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.name_key())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.email())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.email_key().older())?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(address_key)?;
            out.push_sql(")");
        }
        // Without a WHERE, SQLite takes ON for a part of the join.
        out.push_sql(") AS new WHERE true ON CONFLICT DO NOTHING RETURNING email, id");
        Ok(())
    }
}

impl QueryId for InsertSome<'_> {
    type QueryId = ();

    /// It is kept prepared under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for InsertSome<'_> {
    type SqlType = (Text, BigInt);
}

impl RunQueryDsl<SqliteConnection> for InsertSome<'_> {}

/// The ids of created users, by their addresses as given. Not by a key: of two that share one key, the other may be taken.
pub(crate) type Created = HashMap<String, i64>;

/// Updates one user, and records that.
fn update_one(sqlite: &mut SqliteConnection, update: &Update, stamp: Stamp) -> QueryResult<Result<User, Error>> {
    let updated = UpdateOne::new(update, stamp.now).get_result::<UserRow>(sqlite).optional();
    match updated {
        Ok(Some(row)) => {
            let user = User::from(row);
            record_one(sqlite, Kind::Updated, &user, update.trace, stamp)?;
            Ok(Ok(user))
        }
        Ok(None) => why_not(sqlite, update.id).map(Err),
        // SQLite undoes the statement, not the transaction.
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(Err(Error::EmailTaken)),
        Err(error) => Err(error),
    }
}

/// Why a statement that names a user and its expected version met no row.
fn why_not(sqlite: &mut SqliteConnection, id: UserId) -> QueryResult<Error> {
    let exists = diesel::select(diesel::dsl::exists(users::table.find(id.get()))).get_result(sqlite)?;
    Ok(if exists { Error::VersionMismatch } else { Error::NotFound })
}

/// SQL text, because Diesel never keeps an UPDATE prepared, and to prepare it takes longer than to run it. Only what
/// changes is set: SQLite writes every index on a column that is.
struct UpdateOne<'a> {
    id: i64,
    expected: Option<i64>,
    changes: [(&'static str, Option<&'a str>); 4],
    moves: bool,
    /// Of the new address, where it moves.
    address_key: Option<&'a str>,
    now: Moment,
}

impl<'a> UpdateOne<'a> {
    fn new(update: &'a Update, now: Timestamp) -> Self {
        let changes = [
            (", name = ", update.name()),
            (", name_key = ", update.name_key()),
            (", email = ", update.email()),
            (", email_key = ", update.email_key()),
        ];
        Self {
            id: update.id.get(),
            expected: update.expected.map(|version| version.0),
            changes,
            moves: update.email().is_some(),
            address_key: update.address_key(),
            now: Moment(now),
        }
    }
}

impl QueryFragment<Sqlite> for UpdateOne<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE users SET version = version + 1, key_revision = key_revision + 1, updated_at = ");
        out.push_bind_param::<SqlTimestamp, _>(&self.now)?;
        for (column, value) in &self.changes {
            if let Some(value) = value {
                out.push_sql(column);
                out.push_bind_param::<Text, _>(value)?;
            }
        }
        if self.moves {
            out.push_sql(", duplicate_of = NULL, address_key = ");
            out.push_bind_param::<Nullable<Text>, _>(&self.address_key)?;
        }
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<BigInt, _>(&self.id)?;
        if let Some(version) = &self.expected {
            out.push_sql(" AND version = ");
            out.push_bind_param::<BigInt, _>(version)?;
        }
        out.push_sql(" RETURNING id, name, email, version, created_at, updated_at");
        Ok(())
    }
}

impl QueryId for UpdateOne<'_> {
    type QueryId = ();

    /// It is kept prepared under its text, of which there are eight.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for UpdateOne<'_> {
    type SqlType = UserColumns<Sqlite>;
}

impl RunQueryDsl<SqliteConnection> for UpdateOne<'_> {}

/// Deletes one user, and records that.
fn delete_one(sqlite: &mut SqliteConnection, delete: &Delete, stamp: Stamp) -> QueryResult<Result<User, Error>> {
    let target = users::table.find(delete.id.get()).filter(is_expected(delete.expected));
    let deleted = diesel::delete(target).returning(UserRow::as_returning()).get_result::<UserRow>(sqlite).optional()?;
    match deleted {
        Some(row) => {
            let user = User::from(row);
            record_one(sqlite, Kind::Deleted, &user, delete.trace, stamp)?;
            Ok(Ok(user))
        }
        None => why_not(sqlite, delete.id).map(Err),
    }
}

/// Matches the expected version, or any when none is expected.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_expected(expected: Option<Version>) -> _ {
    let any: bool = expected.is_none();
    let version: i64 = expected.map_or(0, |version| version.0);
    any.into_sql::<Bool>().or(users::version.eq(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::NewUser;
    use crate::storage::database::connection::Connection;
    use crate::storage::database::database_url::DatabaseUrl;
    use crate::storage::database::migrations;
    use crate::storage::database::schema::events;
    use crate::telemetry::TracePlace;

    fn with_sqlite<T>(test: impl FnOnce(&mut SqliteConnection) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("users.db"));
        let mut connection = Connection::open(&url, std::time::Duration::from_secs(2)).unwrap();
        migrations::run(&mut connection).unwrap();
        let Connection::Sqlite(sqlite) = &mut connection else { panic!("asked for SQLite") };
        test(sqlite)
    }

    fn row(name: &str, email: &str, trace: Option<TracePlace>) -> Create {
        Create::new(NewUser::parse(name.into(), format!("{email}@example.com")).unwrap(), trace)
    }

    fn create(sqlite: &mut SqliteConnection, rows: &[Create]) -> Vec<Result<(i64, String), Error>> {
        let outcomes = create_in_order(sqlite, &Vec::from_iter(rows), Stamp::now()).unwrap();
        let told = |outcome: Result<User, Error>| outcome.map(|user| (user.id.get(), user.name.as_str().to_owned()));
        outcomes.into_iter().map(told).collect()
    }

    type Recorded = Vec<(i64, Option<String>, Option<String>)>;

    fn recorded(sqlite: &mut SqliteConnection) -> Recorded {
        let columns = (events::user_id, events::name, events::trace_parent);
        events::table.order(events::id).select(columns).load(sqlite).unwrap()
    }

    #[test]
    fn the_first_of_those_with_one_address_is_created() {
        with_sqlite(|sqlite| {
            assert!(create(sqlite, &[row("Earlier", "taken", None)]).iter().all(Result::is_ok));
            // More than go into two statements; every third has the address of the one before, or one that is taken.
            let address =
                |n: usize| if n % 6 == 5 { "taken".into() } else { format!("u{}", n - usize::from(n % 3 == 2)) };
            let rows = Vec::from_iter((0..40).map(|n| row(&format!("User {n}"), &address(n), None)));
            let outcomes = create(sqlite, &rows);
            let mut last = 1;
            for (n, outcome) in outcomes.iter().enumerate() {
                match outcome {
                    Ok((id, name)) => {
                        assert_eq!((n % 3 != 2, name), (true, &format!("User {n}")));
                        assert!(*id > last, "{id} after {last}");
                        last = *id;
                    }
                    Err(error) => assert_eq!((n % 3, error), (2, &Error::EmailTaken)),
                }
            }
            let told = outcomes.into_iter().flatten().map(|(id, name)| (id, Some(name), None));
            let told = Vec::from_iter([(1, Some("Earlier".to_owned()), None)].into_iter().chain(told));
            assert_eq!(recorded(sqlite), told);
        });
    }

    #[test]
    fn each_event_has_its_own_trace() {
        with_sqlite(|sqlite| {
            let trace = TracePlace { trace_id: 1.into(), span_id: 2.into(), sampled: true, own: true };
            let rows = [row("One", "one", None), row("Two", "two", Some(trace)), row("Three", "one", Some(trace))];
            let outcomes = create(sqlite, &rows);
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
            let told = recorded(sqlite).into_iter().map(|(_, name, trace)| (name.unwrap(), trace));
            assert_eq!(Vec::from_iter(told), [("One".to_owned(), None), ("Two".to_owned(), Some(trace.to_string()))]);
        });
    }
}

//! Creates users.

use std::collections::HashMap;

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, SingleValue, Text, Timestamp as SqlTimestamp};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::event_row::Kind;
use super::lock_timeout::LockTimeout;
use super::locks::Locks;
use super::record_events::{Occasion, RecordCreated, record_created, record_one};
use super::row::Moment;
use super::schema::users;
use crate::telemetry::TracePlace;
use crate::users::{EmailKey, Error, Folded, NewUser, Timestamp, User, UserId, Version};

/// A user to create, with the keys that it is stored under: folded by the caller's thread, not by the actor's.
pub(super) struct NewRow {
    new: NewUser,
    name_key: Folded,
    email_key: EmailKey,
    trace: Option<TracePlace>,
}

impl NewRow {
    pub(super) fn new(new: NewUser, trace: Option<TracePlace>) -> Self {
        Self { name_key: new.name.key(), email_key: new.email.key(), new, trace }
    }

    /// Where in a trace it is made, if it is traced.
    pub(super) const fn trace(&self) -> Option<TracePlace> {
        self.trace
    }

    pub(super) const fn email_key(&self) -> &EmailKey {
        &self.email_key
    }

    /// What it stores, and in which field of the user.
    pub(super) fn texts(&self) -> [(&'static str, &str); 4] {
        let (name, email) = (self.new.name.as_str(), self.new.email.as_str());
        [("name", name), ("name", self.name_key.as_str()), ("email", email), ("email", self.email_key.older())]
    }

    /// What came of it, by what was created. Of those with the same address, the one that is asked first was created.
    pub(super) fn outcome(&self, created: &mut Created, now: Timestamp) -> Result<User, Error> {
        created.remove(self.new.email.as_str()).map(|id| self.stored_as(id, now)).ok_or(Error::EmailTaken)
    }

    /// The user that this row became.
    fn stored_as(&self, id: i64, now: Timestamp) -> User {
        User {
            id: UserId::stored(id),
            name: self.new.name.clone(),
            email: self.new.email.clone(),
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Creates users in the order given, and records that. Of those with the same address the first is created.
pub(super) fn create_in_order(
    sqlite: &mut SqliteConnection,
    rows: &[&NewRow],
    occasion: Occasion,
) -> QueryResult<Vec<Result<User, Error>>> {
    let mut created = insert_in_order(sqlite, rows, occasion.now)?;
    let ids = created.values().copied().min().zip(created.values().copied().max());
    let outcomes = Vec::from_iter(rows.iter().map(|row| row.outcome(&mut created, occasion.now)));
    if rows.iter().any(|row| row.trace.is_some()) {
        // What an event has besides its user's row fits into no statement for all of them; so callers that send traces pay
        // for an event each.
        for (row, outcome) in rows.iter().zip(&outcomes) {
            if let Ok(user) = outcome {
                record_one(sqlite, Kind::Created, user, row.trace, occasion)?;
            }
        }
    } else if let Some((first, last)) = ids {
        record_created(sqlite, first..=last, occasion)?;
    }
    Ok(outcomes)
}

/// Inserts rows in the order given, but for those whose address is there already.
pub(super) fn insert_in_order(sqlite: &mut SqliteConnection, rows: &[&NewRow], now: Timestamp) -> QueryResult<Created> {
    let mut created = Created::with_capacity(rows.len());
    for rows in rows.chunks(InsertSome::MAX_ROWS) {
        created.extend(InsertSome::new(rows, now).load::<(String, i64)>(sqlite)?);
    }
    Ok(created)
}

/// SQL text, because Diesel never keeps an INSERT of many rows prepared.
struct InsertSome<'a> {
    rows: &'a [&'a NewRow],
    address_keys: Vec<Option<&'a str>>,
    now: Moment,
}

impl<'a> InsertSome<'a> {
    /// Enough for what a statement costs of itself to be shared by many; few enough for a statement of each length to be
    /// kept prepared.
    const MAX_ROWS: usize = 16;

    fn new(rows: &'a [&'a NewRow], now: Timestamp) -> Self {
        let address_keys = rows.iter().map(|row| row.email_key.unless_plain()).collect();
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
            out.push_bind_param::<Text, _>(row.new.name.as_str())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.name_key.as_str())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.new.email.as_str())?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.email_key.older())?;
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
pub(super) type Created = HashMap<String, i64>;

/// Creates many users in one statement, in the order given, and records that; each address may be among them once only.
pub(super) fn create_many(
    postgres: &mut PgConnection,
    rows: &[&NewRow],
    occasion: Occasion,
    locks: Locks,
) -> QueryResult<Created> {
    let statement = CreateMany {
        created: insert_many(rows, occasion.now),
        recorded: RecordCreated::new(rows, occasion),
        lock_timeout: LockTimeout::new(locks),
    };
    Ok(statement.load(postgres)?.into_iter().collect())
}

/// SQL text, because Diesel has no `WITH`.
struct CreateMany<'a, C> {
    created: C,
    recorded: RecordCreated<'a>,
    lock_timeout: LockTimeout,
}

impl<C: QueryFragment<Pg>> QueryFragment<Pg> for CreateMany<'_, C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH created AS (");
        self.created.walk_ast(out.reborrow())?;
        out.push_sql("), recorded AS (");
        self.recorded.walk_ast(out.reborrow())?;
        out.push_sql(") SELECT email, id FROM created WHERE ");
        self.lock_timeout.walk_ast(out)
    }
}

impl<C> QueryId for CreateMany<'_, C> {
    type QueryId = CreateMany<'static, ()>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<C> Query for CreateMany<'_, C> {
    type SqlType = (Text, BigInt);
}

impl<C> RunQueryDsl<PgConnection> for CreateMany<'_, C> {}

/// The statement that creates many users, in the order given; each address may be among them once only.
///
/// The values travel as one array a column: the statement stays the same for every number of rows, and so stays prepared.
pub(super) fn insert_many<'a>(
    rows: &[&'a NewRow],
    now: Timestamp,
) -> impl QueryFragment<Pg> + QueryId + RunQueryDsl<PgConnection> + use<'a> {
    let column = |of: fn(&NewRow) -> &str| Vec::from_iter(rows.iter().map(|row| of(row)));
    let version = Version::FIRST.0.into_sql::<BigInt>();
    let now = Moment(now).into_sql::<SqlTimestamp>();
    diesel::select((
        unnest::<Text, _>(column(|row| row.new.name.as_str())),
        unnest::<Text, _>(column(|row| row.name_key.as_str())),
        unnest::<Text, _>(column(|row| row.new.email.as_str())),
        unnest::<Text, _>(column(|row| row.email_key.older())),
        unnest::<Nullable<Text>, _>(Vec::from_iter(rows.iter().map(|row| row.email_key.unless_plain()))),
        true.into_sql::<Bool>(),
        version,
        now,
        now,
    ))
    .insert_into(users::table)
    .into_columns((
        users::name,
        users::name_key,
        users::email,
        users::email_key,
        users::address_key,
        users::has_keys,
        users::version,
        users::created_at,
        users::updated_at,
    ))
    .on_conflict_do_nothing()
    .returning((users::email_key, users::id, users::name, users::email))
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// One row for each element. Several side by side in a SELECT advance together.
    fn unnest<T: SingleValue>(values: Array<T>) -> T;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::connection::Connection;
    use crate::storage::database_url::DatabaseUrl;
    use crate::storage::migrations;
    use crate::storage::schema::events;
    use crate::telemetry::TracePlace;
    use crate::users::NewUser;

    fn with_sqlite<T>(test: impl FnOnce(&mut SqliteConnection) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("users.db"));
        let mut connection = Connection::open(&url, std::time::Duration::from_secs(2)).unwrap();
        migrations::run(&mut connection).unwrap();
        let Connection::Sqlite(sqlite) = &mut connection else { panic!("asked for SQLite") };
        test(sqlite)
    }

    fn row(name: &str, email: &str, trace: Option<TracePlace>) -> NewRow {
        NewRow::new(NewUser::parse(name.into(), format!("{email}@example.com")).unwrap(), trace)
    }

    fn create(sqlite: &mut SqliteConnection, rows: &[NewRow]) -> Vec<Result<(i64, String), Error>> {
        let outcomes = create_in_order(sqlite, &Vec::from_iter(rows), Occasion::now()).unwrap();
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

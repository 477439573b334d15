//! Writes on SQLite: a loop over cached prepared statements, inside one transaction.
//!
//! SQLite costs no round trip. The transaction begins with `BEGIN IMMEDIATE`, because a transaction that reads first
//! and takes the write lock later can fail halfway. Each statement is for one row, with one exception: consecutive
//! creates are inserted up to 16 per statement and recorded by one statement, which halves the work; and so are their
//! answers stored, if they carry idempotency keys.
//! `synchronous=FULL`: COMMIT returns when the data is on disk. The whole batch shares one fsync.
//!
//! SQLite gives its lock to the connection that asks at the right moment, and the writer asks all the time. So the
//! writers within the process queue for it (`storage::database::connection`): without that, pruning ran at a tenth of
//! the rate at which a loaded writer added events.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::Bool;
use diesel::sqlite::SqliteConnection;

pub(super) mod find_answers;
mod insert_users;
mod store_answers;
mod update_user;

use super::request::{Create, Delete, Update, Write};
use crate::domain::{
    AsOf, EmailKey, Error, ExternalId, Position, Profile, ProfileChange, Timestamp, User, UserId, Version, Written,
};
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::sqlite::{commit, roll_back};
use crate::storage::database::schema::profile_columns::columns;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::engine::request::Execution;
use crate::storage::event_log::event_row::EventKind;
use crate::storage::event_log::record::{Stamp, record_created, record_one, record_profiled};
use crate::storage::user_cache::{SqliteCache, UserChange};
use insert_users::InsertUsers;
use store_answers::store_answers;
use update_user::UpdateUser;

/// Runs a batch in the transaction that was begun, and commits it. The user cache takes in the changes, before their
/// callers are answered.
pub(super) fn write_batch(
    sqlite: &mut SqliteConnection,
    cache: Option<&SqliteCache>,
    batch: &[&Write],
) -> Result<Vec<Execution<Write>>, BatchError> {
    // If all were refused there is nothing to sync, and nothing that the cache would have to take in. A commit would
    // store the ids that creates have drawn in vain.
    let (outcomes, end) = write_if(sqlite, cache, batch, |outcomes| outcomes.iter().any(Result::is_ok))?;
    let written = |user| Written { answer: AsOf::latest(Some(user), end), is_replay: false };
    Ok(outcomes.into_iter().map(|outcome| Execution::Executed(outcome.map(written))).collect())
}

/// The same, but commits only if no write was refused. Otherwise nothing is changed, and the users of the other writes
/// are not what is stored.
pub(super) fn write_all_or_none(
    sqlite: &mut SqliteConnection,
    cache: Option<&SqliteCache>,
    batch: &[&Write],
) -> Result<(Vec<Result<User, Error>>, Position), BatchError> {
    write_if(sqlite, cache, batch, |outcomes| outcomes.iter().all(Result::is_ok))
}

/// Runs the writes, and commits them if their outcomes are such. Returns these, and the offset of the last event.
fn write_if(
    sqlite: &mut SqliteConnection,
    cache: Option<&SqliteCache>,
    batch: &[&Write],
    is_committed: impl FnOnce(&[Result<User, Error>]) -> bool,
) -> Result<(Vec<Result<User, Error>>, Position), BatchError> {
    let own_commit = cache.and_then(SqliteCache::begin_commit);
    let stamp = Stamp::now();
    let outcomes = write_in_order(sqlite, batch, stamp)?;
    let end = last_offset(sqlite)?;
    if is_committed(&outcomes) {
        let changed = batch.iter().zip(&outcomes).filter_map(|(write, outcome)| Some((*write, outcome.as_ref().ok()?)));
        store_answers(sqlite, changed, stamp, end)?;
        commit(sqlite)?;
        if let Some(own_commit) = own_commit {
            own_commit.take_in(batch.iter().zip(&outcomes).filter_map(change), Some(end));
        }
    } else {
        roll_back(sqlite)?;
    }
    Ok((outcomes, end))
}

/// The offset of the last event: what was inserted last is an event, if there was a change at all.
pub(super) fn last_offset(sqlite: &mut SqliteConnection) -> QueryResult<Position> {
    diesel::select(last_insert_rowid()).get_result(sqlite).map(Position)
}

#[diesel::declare_sql_function]
#[backends(diesel::sqlite::Sqlite)]
extern "SQL" {
    /// The id of the row that this connection has inserted last: cheaper than to look into the log.
    fn last_insert_rowid() -> BigInt;
}

/// What a write has changed.
fn change<'a>((write, outcome): (&&'a Write, &'a Result<User, Error>)) -> Option<UserChange<'a>> {
    let user = outcome.as_ref().ok()?;
    Some(match write {
        Write::Create(create) => {
            UserChange::Stored { user, email_key: Some(create.email_key().legacy()), is_new: true }
        }
        Write::Update(update) => UserChange::Stored { user, email_key: update.email_key(), is_new: false },
        Write::Delete(delete) => UserChange::Deleted(delete.id),
    })
}

/// Runs the writes in the order of arrival. Consecutive creates share statements.
fn write_in_order(
    sqlite: &mut SqliteConnection,
    batch: &[&Write],
    stamp: Stamp,
) -> QueryResult<Vec<Result<User, Error>>> {
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
    Ok(outcomes)
}

/// Creates users in this order, and records their events. Of users with the same address the first is created.
pub(super) fn create_in_order(
    sqlite: &mut SqliteConnection,
    rows: &[&Create],
    stamp: Stamp,
) -> QueryResult<Vec<Result<User, Error>>> {
    let mut created = insert_in_order(sqlite, rows, stamp.now)?;
    let ids = || created.values().map(|(_, id)| *id);
    let ids = ids().min().zip(ids().max());
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in rows {
        outcomes.push(match take_created(&mut created, row) {
            Some(id) => Ok(row.stored_as(id, stamp.now)),
            None => Err(what_is_taken(sqlite, Some(row.email_key()), row.external_id(), None)?),
        });
    }
    if rows.iter().any(|row| row.trace().is_some()) {
        // No single statement can add a different trace to each event. So creates that are traced pay for one statement
        // per event.
        for (row, outcome) in rows.iter().zip(&outcomes) {
            if let Ok(user) = outcome {
                record_one(sqlite, EventKind::Created, user, row.trace(), stamp)?;
            }
        }
    } else if let Some((first, last)) = ids {
        let record = if rows.iter().any(|row| row.profile().is_some()) { record_profiled } else { record_created };
        record(sqlite, first..=last, stamp)?;
    }
    Ok(outcomes)
}

/// Inserts users in this order, except those whose address is taken.
pub(crate) fn insert_in_order(sqlite: &mut SqliteConnection, rows: &[&Create], now: Timestamp) -> QueryResult<Created> {
    let mut created = Created::with_capacity(rows.len());
    for rows in rows.chunks(InsertUsers::MAX_ROWS) {
        let inserted = InsertUsers::new(rows, now).load::<(String, Option<String>, i64)>(sqlite)?;
        created.extend(inserted.into_iter().map(|(email, external_id, id)| (email, (external_id, id))));
    }
    Ok(created)
}

/// The id of the user that this create has made. Of two with one address the first may have been refused for its external
/// id, and the second not.
fn take_created(created: &mut Created, row: &Create) -> Option<i64> {
    let (external_id, _) = created.get(row.email())?;
    let is_made = external_id.as_deref() == row.external_id().map(ExternalId::as_str);
    if is_made { created.remove(row.email()).map(|(_, id)| id) } else { None }
}

/// The external ids and the ids of created users, by their addresses as given. Not by a key: two addresses may share one key while the other
/// key of one is taken.
pub(crate) type Created = HashMap<String, (Option<String>, i64)>;

/// Updates one user, and records the event.
pub(super) fn update_one(
    sqlite: &mut SqliteConnection,
    update: &Update,
    stamp: Stamp,
) -> QueryResult<Result<User, Error>> {
    let profile = match update.profile_change().map(|change| changed_profile(sqlite, update, change)).transpose()? {
        Some(Err(error)) => return Ok(Err(error)),
        Some(Ok(profile)) => Some(profile),
        None => None,
    };
    let profile = profile.as_ref().map(|profile| columns(profile.as_deref()));
    let updated = UpdateUser::new(update, profile, stamp.now).get_result::<UserRow>(sqlite).optional();
    match updated {
        Ok(Some(row)) => {
            let user = User::from(row);
            record_one(sqlite, EventKind::Updated, &user, update.trace, stamp)?;
            Ok(Ok(user))
        }
        Ok(None) => reason_for_no_row(sqlite, update.id).map(Err),
        // SQLite has rolled back the statement, not the transaction.
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            what_is_taken(sqlite, update.new_address(), update.external_id(), Some(update.id)).map(Err)
        }
        Err(error) => Err(error),
    }
}

/// The profile after the update, or why the user cannot have it. Nobody else writes meanwhile.
fn changed_profile(
    sqlite: &mut SqliteConnection,
    update: &Update,
    change: &ProfileChange,
) -> QueryResult<Result<Option<Arc<Profile>>, Error>> {
    let found = users::table.find(update.id.get()).select(UserRow::as_select()).first::<UserRow>(sqlite).optional()?;
    Ok(match found {
        None => Err(Error::NotFound),
        Some(row) if update.expected.is_some_and(|expected| expected.0 != row.version) => Err(Error::VersionMismatch),
        Some(row) => change.apply(User::from(row).profile.as_deref()),
    })
}

/// Why a user cannot be stored, if a unique index is in the way. `id` is the user, if it exists.
fn what_is_taken(
    sqlite: &mut SqliteConnection,
    address: Option<&EmailKey>,
    external_id: Option<&ExternalId>,
    id: Option<UserId>,
) -> QueryResult<Error> {
    let (Some(address), Some(_)) = (address, external_id) else {
        return Ok(if external_id.is_some() { Error::ExternalIdTaken } else { Error::EmailTaken });
    };
    let has_address = users::email_key.eq(address.legacy()).or(users::address_key.eq(address.address_key()));
    let others = users::table.filter(has_address).filter(users::id.ne(id.map_or(0, UserId::get)));
    let is_taken = diesel::select(diesel::dsl::exists(others)).get_result(sqlite)?;
    Ok(if is_taken { Error::EmailTaken } else { Error::ExternalIdTaken })
}

/// Why a statement found no user with this id and the expected version.
fn reason_for_no_row(sqlite: &mut SqliteConnection, id: UserId) -> QueryResult<Error> {
    let exists = diesel::select(diesel::dsl::exists(users::table.find(id.get()))).get_result(sqlite)?;
    Ok(if exists { Error::VersionMismatch } else { Error::NotFound })
}

/// Deletes one user, and records the event.
fn delete_one(sqlite: &mut SqliteConnection, delete: &Delete, stamp: Stamp) -> QueryResult<Result<User, Error>> {
    let target = users::table.find(delete.id.get()).filter(is_expected(delete.expected));
    let deleted = diesel::delete(target).returning(UserRow::as_returning()).get_result::<UserRow>(sqlite).optional()?;
    match deleted {
        Some(row) => {
            let user = User::from(row);
            record_one(sqlite, EventKind::Deleted, &user, delete.trace, stamp)?;
            Ok(Ok(user))
        }
        None => reason_for_no_row(sqlite, delete.id).map(Err),
    }
}

/// Matches the expected version, or any version if none is expected.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_expected(expected: Option<Version>) -> _ {
    let any: bool = expected.is_none();
    let version: i64 = expected.map_or(0, |version| version.0);
    any.into_sql::<Bool>().or(users::version.eq(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Assignment, NewUser, RawProfile};
    use crate::storage::database::connection::Connection;
    use crate::storage::database::schema::migrations;
    use crate::storage::database::schema::tables::events;
    use crate::storage::database::settings::database_url::DatabaseUrl;
    use crate::telemetry::TracedSpan;

    fn with_sqlite<T>(test: impl FnOnce(&mut SqliteConnection) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("users.db"));
        let mut connection = Connection::open(&url, std::time::Duration::from_secs(2)).unwrap();
        migrations::run(&mut connection).unwrap();
        let Connection::Sqlite(sqlite, _) = &mut connection else { panic!("asked for SQLite") };
        test(sqlite)
    }

    fn row(name: &str, email: &str, trace: Option<TracedSpan>) -> Create {
        Create::new(
            NewUser::parse(name.into(), format!("{email}@example.com"), RawProfile::default()).unwrap(),
            trace,
            None,
        )
    }

    fn create(sqlite: &mut SqliteConnection, rows: &[Create]) -> Vec<Result<(i64, String), Error>> {
        let outcomes = create_in_order(sqlite, &Vec::from_iter(rows), Stamp::now()).unwrap();
        let id_and_name =
            |outcome: Result<User, Error>| outcome.map(|user| (user.id.get(), user.name.as_str().to_owned()));
        outcomes.into_iter().map(id_and_name).collect()
    }

    type Recorded = Vec<(i64, Option<String>, Option<String>)>;

    fn recorded(sqlite: &mut SqliteConnection) -> Recorded {
        let columns = (events::user_id, events::name, events::trace_parent);
        events::table.order(events::id).select(columns).load(sqlite).unwrap()
    }

    #[test]
    fn of_users_with_one_address_the_first_is_created() {
        with_sqlite(|sqlite| {
            assert!(create(sqlite, &[row("Earlier", "taken", None)]).iter().all(Result::is_ok));
            // More than fit into two statements. Every third user has the address of the one before, or one that is
            // taken.
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
            let expected = outcomes.into_iter().flatten().map(|(id, name)| (id, Some(name), None));
            let expected = Vec::from_iter([(1, Some("Earlier".to_owned()), None)].into_iter().chain(expected));
            assert_eq!(recorded(sqlite), expected);
        });
    }

    #[test]
    fn of_users_with_one_address_one_may_be_refused_for_its_external_id() {
        with_sqlite(|sqlite| {
            let row = |name: &str, email: &str, external_id: Option<&str>| {
                let external_id = external_id.map_or(Assignment::Keep, |id| Assignment::Set(id.to_owned()));
                let profile = RawProfile { external_id, ..RawProfile::default() };
                Create::new(NewUser::parse(name.into(), email.into(), profile).unwrap(), None, None)
            };
            assert!(create(sqlite, &[row("Earlier", "x@x.co", Some("x"))]).iter().all(Result::is_ok));
            let rows = [
                row("First", "a@x.co", Some("x")),
                row("Second", "a@x.co", None),
                row("Third", "a@x.co", Some("y")),
                row("Fourth", "b@x.co", Some("y")),
                row("Fifth", "b@x.co", Some("y")),
            ];
            let outcomes = create(sqlite, &rows).into_iter().map(|outcome| outcome.map(|(_, name)| name));
            // When it is asked why the first was refused, the second has the address.
            let expected = [
                Err(Error::EmailTaken),
                Ok("Second".to_owned()),
                Err(Error::EmailTaken),
                Ok("Fourth".to_owned()),
                Err(Error::EmailTaken),
            ];
            assert_eq!(Vec::from_iter(outcomes), expected);
            let names = recorded(sqlite).into_iter().map(|(_, name, _)| name.unwrap());
            assert_eq!(Vec::from_iter(names), ["Earlier", "Second", "Fourth"]);
        });
    }

    #[test]
    fn each_event_has_its_own_trace() {
        with_sqlite(|sqlite| {
            let trace = TracedSpan { trace_id: 1.into(), span_id: 2.into(), sampled: true, own: true };
            let rows = [row("One", "one", None), row("Two", "two", Some(trace)), row("Three", "one", Some(trace))];
            let outcomes = create(sqlite, &rows);
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
            let events = recorded(sqlite).into_iter().map(|(_, name, trace)| (name.unwrap(), trace));
            assert_eq!(Vec::from_iter(events), [("One".to_owned(), None), ("Two".to_owned(), Some(trace.to_string()))]);
        });
    }
}

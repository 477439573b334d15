//! Updates users, each if its version is the expected one.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp as SqlTimestamp};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::event_row::Kind;
use super::record_events::{Occasion, record_one};
use super::row::{Moment, UserColumns, UserRow};
use super::schema::users;
use super::write_together::Found;
use crate::telemetry::TracePlace;
use crate::users::{Changes, EmailKey, Error, Folded, Timestamp, User, UserId, Version};

/// A user to update, with the keys that follow from the changes.
pub(super) struct Update {
    pub(super) id: UserId,
    pub(super) expected: Option<Version>,
    changes: Changes,
    name_key: Option<Folded>,
    email_key: Option<EmailKey>,
    pub(super) trace: Option<TracePlace>,
}

impl Update {
    pub(super) fn new(id: UserId, expected: Option<Version>, changes: Changes, trace: Option<TracePlace>) -> Self {
        let name_key = changes.name.as_ref().map(crate::users::UserName::key);
        let email_key = changes.email.as_ref().map(crate::users::Email::key);
        Self { id, expected, changes, name_key, email_key, trace }
    }

    /// What came of it, by what the statement found under its id.
    pub(super) fn outcome(&self, found: Option<Found>) -> Result<User, Error> {
        match found {
            None => Err(Error::NotFound),
            Some(Found { changed: Some(user), .. }) => Ok(user),
            Some(Found { version, .. }) if self.expected.is_some_and(|expected| expected != version) => {
                Err(Error::VersionMismatch)
            }
            // The user is there and the version is right: only the address stands in the way.
            Some(_) => Err(Error::EmailTaken),
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.changes.name.as_ref().map(crate::users::UserName::as_str)
    }

    pub(super) fn name_key(&self) -> Option<&str> {
        self.name_key.as_ref().map(Folded::as_str)
    }

    pub(super) fn email(&self) -> Option<&str> {
        self.changes.email.as_ref().map(crate::users::Email::as_str)
    }

    pub(super) fn email_key(&self) -> Option<&str> {
        self.email_key.as_ref().map(EmailKey::older)
    }

    pub(super) fn address_key(&self) -> Option<&str> {
        self.email_key.as_ref().and_then(EmailKey::unless_plain)
    }
}

/// Updates one user, and records that.
pub(super) fn update_one(
    sqlite: &mut SqliteConnection,
    update: &Update,
    occasion: Occasion,
) -> QueryResult<Result<User, Error>> {
    let updated = UpdateOne::new(update, occasion.now).get_result::<UserRow>(sqlite).optional();
    match updated {
        Ok(Some(row)) => {
            let user = User::from(row);
            record_one(sqlite, Kind::Updated, &user, update.trace, occasion)?;
            Ok(Ok(user))
        }
        Ok(None) => why_not(sqlite, update.id).map(Err),
        // SQLite undoes the statement, not the transaction.
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(Err(Error::EmailTaken)),
        Err(error) => Err(error),
    }
}

/// Why a statement that names a user and its expected version met no row.
pub(super) fn why_not(sqlite: &mut SqliteConnection, id: UserId) -> QueryResult<Error> {
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

/// Updates those that [`Wanted`](super::wanted::Wanted) found. SQL text, because Diesel has no `UPDATE ... FROM`.
///
/// An address that another user has is left out by the statement rather than found by failing it. Should another replica
/// take it in the same moment, the unique index fails the batch, and its messages are tried again one by one.
pub(super) const UPDATE_FOUND: &str = "UPDATE users SET
        name = coalesce(found.name, users.name),
        name_key = coalesce(found.name_key, users.name_key),
        email = coalesce(found.email, users.email),
        email_key = coalesce(found.email_key, users.email_key),
        address_key = CASE WHEN found.email_key IS NULL THEN users.address_key ELSE found.address_key END,
        duplicate_of = CASE WHEN found.email_key IS NULL THEN users.duplicate_of END,
        key_revision = users.key_revision + 1,
        version = users.version + 1,
        updated_at = found.now
    FROM found
    WHERE users.id = found.id AND NOT found.gone AND (found.expected IS NULL OR found.expected = found.version)
        AND (found.email_key IS NULL OR NOT EXISTS (
            SELECT FROM users AS other WHERE other.email_key = found.email_key AND other.id <> found.id))
        AND (found.address_key IS NULL OR NOT EXISTS (
            SELECT FROM users AS other WHERE other.address_key = found.address_key AND other.id <> found.id))
    RETURNING users.id, users.name, users.email, users.version, users.created_at, users.updated_at";

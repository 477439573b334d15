//! Deletes users, each if its version is the expected one.

use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::SqliteConnection;

use super::event_row::Kind;
use super::record_events::{Occasion, record_one};
use super::row::UserRow;
use super::schema::users;
use super::update_users::why_not;
use super::write_together::Found;
use crate::telemetry::TracePlace;
use crate::users::{Error, User, UserId, Version};

/// A user to delete.
pub(super) struct Delete {
    pub(super) id: UserId,
    pub(super) expected: Option<Version>,
    pub(super) trace: Option<TracePlace>,
}

impl Delete {
    /// What came of a delete, by what the statement found under its id.
    pub(super) fn outcome(found: Option<Found>) -> Result<User, Error> {
        found.ok_or(Error::NotFound)?.changed.ok_or(Error::VersionMismatch)
    }
}

/// Deletes one user, and records that.
pub(super) fn delete_one(
    sqlite: &mut SqliteConnection,
    delete: &Delete,
    occasion: Occasion,
) -> QueryResult<Result<User, Error>> {
    let target = users::table.find(delete.id.get()).filter(is_expected(delete.expected));
    let deleted = diesel::delete(target).returning(UserRow::as_returning()).get_result::<UserRow>(sqlite).optional()?;
    match deleted {
        Some(row) => {
            let user = User::from(row);
            record_one(sqlite, Kind::Deleted, &user, delete.trace, occasion)?;
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

/// Deletes those that [`Wanted`](super::wanted::Wanted) found. SQL text, because Diesel has no `DELETE ... USING`.
pub(super) const DELETE_FOUND: &str = "DELETE FROM users USING found
    WHERE users.id = found.id AND found.gone AND (found.expected IS NULL OR found.expected = found.version)
    RETURNING users.id, users.name, users.email, users.version, users.created_at, users.updated_at";

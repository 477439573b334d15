//! How a user lies in the database.

use std::io::Write as _;

use chrono::{DateTime, SecondsFormat};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::data_types::PgTimestamp;
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types;
use diesel::sqlite::{Sqlite, SqliteValue};

use super::schema::users;
use crate::domain::{Email, Timestamp, User, UserId, UserName, Version};

/// The columns that make a [`User`].
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(crate) struct UserRow {
    pub(crate) id: i64,
    name: String,
    email: String,
    pub(crate) version: i64,
    created_at: Moment,
    updated_at: Moment,
}

/// The SQL types of a [`UserRow`], in its order.
pub(crate) type UserColumns<DB> = diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<UserRow, DB>>;

/// The same where a row may be missing.
pub(crate) type MaybeUserColumns = diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<Option<UserRow>, Pg>>;

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId::stored(row.id),
            name: UserName::stored(row.name),
            email: Email::stored(row.email),
            version: Version(row.version),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        }
    }
}

/// A [`Timestamp`] as a column. Not chrono's type, which tries one text format after the other when it reads from SQLite:
/// here there is one, `2026-01-31 12:00:00.000001`. It is RFC 3339 with a space for the T and without the Z, because that is
/// what chrono writes and reads without a format to interpret.
#[derive(Clone, Copy, Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// PostgreSQL counts from 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl ToSql<sql_types::Timestamp, Pg> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.unix_micros() - POSTGRES_EPOCH;
        out.write_all(&micros.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<sql_types::Timestamp, Pg> for Moment {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let PgTimestamp(micros) = FromSql::<sql_types::Timestamp, Pg>::from_sql(value)?;
        Ok(Self(Timestamp::from_unix_micros(micros + POSTGRES_EPOCH)))
    }
}

impl ToSql<sql_types::Timestamp, Sqlite> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let moment = DateTime::from_timestamp_micros(self.0.unix_micros()).ok_or("a moment beyond the calendar")?;
        let mut text = moment.to_rfc3339_opts(SecondsFormat::Micros, true);
        // A year of another length would not be in its place in the order of texts.
        if text.len() != "2026-01-31T12:00:00.000001Z".len() {
            return Err("a year that has not four digits".into());
        }
        text.truncate(text.len() - 1);
        out.set_value(text.replace('T', " "));
        Ok(IsNull::No)
    }
}

impl FromSql<sql_types::Timestamp, Sqlite> for Moment {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<sql_types::Text, Sqlite>>::from_sql(value)?;
        let moment = DateTime::parse_from_rfc3339(&(text + "Z"))?;
        Ok(Self(Timestamp::from_unix_micros(moment.timestamp_micros())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What SQLite keeps of a moment, as text and read again.
    fn kept(micros: i64) -> QueryResult<(String, i64)> {
        let mut sqlite = SqliteConnection::establish(":memory:").unwrap();
        let moment = Moment(Timestamp::from_unix_micros(micros)).into_sql::<sql_types::Timestamp>();
        let read = diesel::select(moment).get_result::<Moment>(&mut sqlite).map(|Moment(read)| read.unix_micros())?;
        let moment = Moment(Timestamp::from_unix_micros(micros)).into_sql::<sql_types::Timestamp>();
        let cast =
            diesel::dsl::sql::<sql_types::Text>("CAST(").bind::<sql_types::Timestamp, _>(moment).sql(" AS TEXT)");
        Ok((diesel::select(cast).get_result(&mut sqlite)?, read))
    }

    #[test]
    fn sqlite_keeps_a_moment_to_the_microsecond() {
        for (micros, text) in [
            (1_700_000_000_000_001, "2023-11-14 22:13:20.000001"),
            (0, "1970-01-01 00:00:00.000000"),
            (-1, "1969-12-31 23:59:59.999999"),
            (253_402_300_799_999_999, "9999-12-31 23:59:59.999999"),
        ] {
            assert_eq!(kept(micros).unwrap(), (text.to_owned(), micros));
        }
    }

    #[test]
    fn a_moment_that_would_be_out_of_order_is_refused() {
        assert!(kept(253_402_300_800_000_000).is_err());
        assert!(kept(i64::MAX).is_err());
    }
}

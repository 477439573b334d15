//! The type of timestamp columns.

use std::io::Write as _;

use chrono::{DateTime, SecondsFormat};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::data_types::PgTimestamp;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types;
use diesel::sqlite::{Sqlite, SqliteValue};

use crate::domain::Timestamp;

/// A [`Timestamp`] as a column.
///
/// Not chrono's type, which tries several text formats when it reads from SQLite. Here there is one,
/// `2026-01-31 12:00:00.000001`: RFC 3339 with a space for the T and without the Z, which chrono writes and reads
/// without having to interpret a format.
#[derive(Clone, Copy, Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub(crate) struct TimestampColumn(pub(crate) Timestamp);

/// PostgreSQL counts microseconds from 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl ToSql<sql_types::Timestamp, Pg> for TimestampColumn {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.unix_micros() - POSTGRES_EPOCH;
        out.write_all(&micros.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<sql_types::Timestamp, Pg> for TimestampColumn {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let PgTimestamp(micros) = FromSql::<sql_types::Timestamp, Pg>::from_sql(value)?;
        Ok(Self(Timestamp::from_unix_micros(micros + POSTGRES_EPOCH)))
    }
}

impl ToSql<sql_types::Timestamp, Sqlite> for TimestampColumn {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let timestamp = DateTime::from_timestamp_micros(self.0.unix_micros()).ok_or("a moment beyond the calendar")?;
        let mut text = timestamp.to_rfc3339_opts(SecondsFormat::Micros, true);
        // A year of another length would be out of order, since SQLite compares text.
        if text.len() != "2026-01-31T12:00:00.000001Z".len() {
            return Err("a year that has not four digits".into());
        }
        text.truncate(text.len() - 1);
        out.set_value(text.replace('T', " "));
        Ok(IsNull::No)
    }
}

impl FromSql<sql_types::Timestamp, Sqlite> for TimestampColumn {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<sql_types::Text, Sqlite>>::from_sql(value)?;
        let timestamp = DateTime::parse_from_rfc3339(&(text + "Z"))?;
        Ok(Self(Timestamp::from_unix_micros(timestamp.timestamp_micros())))
    }
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;

    use super::*;

    /// A timestamp as SQLite stores it: its text, and the value read back.
    fn stored(micros: i64) -> QueryResult<(String, i64)> {
        let mut sqlite = SqliteConnection::establish(":memory:").unwrap();
        let timestamp = TimestampColumn(Timestamp::from_unix_micros(micros)).into_sql::<sql_types::Timestamp>();
        let read = diesel::select(timestamp)
            .get_result::<TimestampColumn>(&mut sqlite)
            .map(|TimestampColumn(read)| read.unix_micros())?;
        let timestamp = TimestampColumn(Timestamp::from_unix_micros(micros)).into_sql::<sql_types::Timestamp>();
        let cast =
            diesel::dsl::sql::<sql_types::Text>("CAST(").bind::<sql_types::Timestamp, _>(timestamp).sql(" AS TEXT)");
        Ok((diesel::select(cast).get_result(&mut sqlite)?, read))
    }

    #[test]
    fn sqlite_stores_microseconds() {
        for (micros, text) in [
            (1_700_000_000_000_001, "2023-11-14 22:13:20.000001"),
            (0, "1970-01-01 00:00:00.000000"),
            (-1, "1969-12-31 23:59:59.999999"),
            (253_402_300_799_999_999, "9999-12-31 23:59:59.999999"),
        ] {
            assert_eq!(stored(micros).unwrap(), (text.to_owned(), micros));
        }
    }

    #[test]
    fn a_timestamp_out_of_text_order_is_refused() {
        assert!(stored(253_402_300_800_000_000).is_err());
        assert!(stored(i64::MAX).is_err());
    }
}

//! Which transactions of a PostgreSQL database are writing events.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

/// Stands for all writers of a standby's primary, whose locks are invisible to the standby. After a promotion,
/// transactions that have not committed never will.
pub(crate) const PRIMARY: &str = "primary";

/// The names of prepared transactions (two-phase commit) begin with this.
pub(crate) const PREPARED: &str = "-1/";

/// The transactions that are writing events. A transaction holds its lock on the table from before it is assigned an
/// offset until its end is visible. A prepared transaction continues under another name; the service prepares none.
pub(crate) fn event_writers(postgres: &mut PgConnection) -> QueryResult<Vec<String>> {
    let rows: Vec<Writer> = diesel::sql_query(
        "SELECT virtualtransaction AS id FROM pg_locks
        WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted AND relation = 'events'::regclass
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        UNION ALL SELECT 'primary' WHERE pg_is_in_recovery()",
    )
    .load(postgres)?;
    Ok(rows.into_iter().map(|writer| writer.id).collect())
}

/// SQL text, because Diesel knows no catalogues.
#[derive(QueryableByName)]
struct Writer {
    #[diesel(sql_type = Text)]
    id: String,
}

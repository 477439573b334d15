use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::Text;

use super::locks::Locks;

/// A condition that is always true, and sets how long the statement waits for each lock.
///
/// PostgreSQL evaluates it once, and first of all if it stands where the statement's result begins: what `WITH` changes is
/// changed when the result asks for it. So it costs no round trip, and ends with the statement. The locks of whole tables
/// are taken before that; their timeout is the connection's.
pub(super) struct LockTimeout(String);

impl LockTimeout {
    pub(super) fn new(locks: Locks) -> Self {
        Self(format!("{}ms", locks.timeout.as_millis()))
    }
}

impl QueryFragment<Pg> for LockTimeout {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(SELECT set_config('lock_timeout', ");
        out.push_bind_param::<Text, _>(&self.0)?;
        out.push_sql(", true)) IS NOT NULL");
        Ok(())
    }
}

//! The statement that finds the answers to up to 16 writes that may have been executed before.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Binary;
use diesel::sqlite::{Sqlite, SqliteConnection};

use crate::storage::database::schema::stored_answer::StoredAnswer;

/// Finds stored answers by their keys.
pub(crate) fn find_answers(sqlite: &mut SqliteConnection, keys: &[&[u8]]) -> QueryResult<Vec<StoredAnswer>> {
    let mut found = Vec::new();
    for keys in keys.chunks(FindAnswers::MAX_KEYS) {
        found.extend(FindAnswers(keys).load::<StoredAnswer>(sqlite)?);
    }
    Ok(found)
}

/// SQL text, because Diesel never keeps a statement with a list prepared.
struct FindAnswers<'a>(&'a [&'a [u8]]);

impl FindAnswers<'_> {
    /// As many as `InsertUsers` inserts.
    const MAX_KEYS: usize = 16;
}

impl QueryFragment<Sqlite> for FindAnswers<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT key, request, position, user_id, version, name, email, created_at, updated_at,
                external_id, status, attributes
            FROM idempotency_keys WHERE key IN (",
        );
        for (at, key) in self.0.iter().enumerate() {
            if at > 0 {
                out.push_sql(", ");
            }
            out.push_bind_param::<Binary, _>(key)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

impl QueryId for FindAnswers<'_> {
    type QueryId = ();

    /// Diesel keeps it prepared under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for FindAnswers<'_> {
    type SqlType = diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<StoredAnswer, Sqlite>>;
}

impl RunQueryDsl<SqliteConnection> for FindAnswers<'_> {}

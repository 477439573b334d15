//! Indexes by expression on PostgreSQL. SQL text, because Diesel knows neither catalogues nor indexes. The names of
//! attributes stand for themselves in it, which their type ensures.

use std::collections::HashMap;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::IndexProgress;
use crate::domain::AttributeName;

/// The indexes of attributes that there are.
pub(super) struct States(HashMap<String, IndexState>);

#[derive(QueryableByName)]
struct IndexState {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    is_valid: bool,
    /// How far the phase is that reads the table: there are two, to build the index and to validate it. 0 to a role without
    /// the rights of the builder.
    #[diesel(sql_type = BigInt)]
    done: i64,
    #[diesel(sql_type = BigInt)]
    all: i64,
}

impl States {
    pub(super) fn of(&self, name: &AttributeName) -> IndexProgress {
        match self.0.get(&index_name(name)) {
            Some(IndexState { is_valid: true, .. }) => IndexProgress::COMPLETE,
            Some(IndexState { done, all, .. }) => IndexProgress::part(*done, *all),
            None => IndexProgress::default(),
        }
    }

    /// Whether there is such an index, but not a valid one.
    pub(super) fn is_invalid(&self, name: &AttributeName) -> bool {
        self.0.get(&index_name(name)).is_some_and(|state| !state.is_valid)
    }
}

/// The name of the index of an attribute.
fn index_name(name: &AttributeName) -> String {
    format!("users_attribute_{name}")
}

/// The name that it has from when nobody may use it any more until it is gone.
fn dropped_name(name: &AttributeName) -> String {
    format!("users_dropped_{name}")
}

/// Reads which indexes there are, and how far they are.
pub(super) fn states(postgres: &mut PgConnection) -> QueryResult<States> {
    let states: Vec<IndexState> = diesel::sql_query(
        "SELECT c.relname::text AS name, i.indisvalid AND i.indisready AS is_valid,
            coalesce(p.blocks_done + CASE WHEN p.phase LIKE 'index validation%' THEN p.blocks_total ELSE 0 END, 0) AS done,
            coalesce(p.blocks_total * 2, 0) AS all
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            LEFT JOIN pg_stat_progress_create_index p ON p.index_relid = i.indexrelid
        WHERE i.indrelid = to_regclass('users') AND c.relname LIKE 'users\\_attribute\\_%'",
    )
    .load(postgres)?;
    Ok(States(states.into_iter().map(|state| (state.name.clone(), state)).collect()))
}

/// Whether a session is at work on the table: it builds or drops an index, this one or one whose process has died, or runs
/// VACUUM. By locks, which every role may see; who builds is shown only to roles with the rights of the builder.
pub(super) fn is_busy(postgres: &mut PgConnection) -> QueryResult<bool> {
    diesel::select(sql::<Bool>(
        "EXISTS (SELECT FROM pg_locks WHERE locktype = 'relation' AND relation = to_regclass('users')
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND mode = 'ShareUpdateExclusiveLock' AND granted)",
    ))
    .get_result(postgres)
}

/// Builds the index while others write. Fails or waits if another session builds one of the same table.
pub(super) fn build(postgres: &mut PgConnection, name: &AttributeName) -> QueryResult<()> {
    // Users without attributes have no entry, so their writes cost nothing more.
    postgres.batch_execute(&format!(
        r#"CREATE INDEX CONCURRENTLY "{}" ON users ((user_attribute(attributes, '{name}')) COLLATE "C", id)
            WHERE attributes IS NOT NULL"#,
        index_name(name)
    ))
}

/// Drops what is left of an index that could not be built.
pub(super) fn drop_invalid(postgres: &mut PgConnection, name: &AttributeName) -> QueryResult<()> {
    postgres.batch_execute(&format!(r#"DROP INDEX CONCURRENTLY "{}""#, index_name(name)))
}

/// Takes the index out of use. Returns false if there is none.
pub(super) fn retire(postgres: &mut PgConnection, name: &AttributeName) -> QueryResult<bool> {
    let is_there = states(postgres)?.0.contains_key(&index_name(name));
    if is_there {
        let rename = format!(r#"ALTER INDEX "{}" RENAME TO "{}""#, index_name(name), dropped_name(name));
        postgres.batch_execute(&rename)?;
    }
    Ok(is_there)
}

/// Drops an index that was taken out of use. Returns false if there is none.
pub(super) fn drop_retired(postgres: &mut PgConnection, name: &AttributeName) -> QueryResult<bool> {
    let index = format!(r#""{}""#, dropped_name(name));
    let is_there = diesel::select(sql::<Bool>(&format!("to_regclass('{index}') IS NOT NULL"))).get_result(postgres)?;
    if is_there {
        postgres.batch_execute(&format!("DROP INDEX CONCURRENTLY {index}"))?;
    }
    Ok(is_there)
}

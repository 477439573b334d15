//! Look-ups on SQLite: a loop over cached prepared statements, inside one transaction.

use diesel::Connection as _;
use diesel::dsl::not;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::lookup::{Lookup, users_by_key};
use crate::domain::{AsOf, Position, User};
use crate::storage::database::schema::log_end::log_end;
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;

/// On SQLite a statement costs no round trip. Cached single look-ups in one read transaction are fastest.
pub(super) fn get_one_by_one(sqlite: &mut SqliteConnection, batch: &[&Lookup]) -> QueryResult<Vec<AsOf<Option<User>>>> {
    sqlite.transaction(|sqlite| {
        let end = Position(diesel::select(log_end()).get_result(sqlite)?);
        batch.iter().map(|lookup| Ok(AsOf::latest(get_one(sqlite, lookup)?, end))).collect()
    })
}

fn get_one(sqlite: &mut SqliteConnection, lookup: &Lookup) -> QueryResult<Option<User>> {
    let key = match lookup {
        Lookup::Id(id) => {
            let row = users::table.find(id.get()).select(UserRow::as_select()).get_result(sqlite);
            return row.optional().map(|found| found.map(User::from));
        }
        Lookup::ExternalId(external_id) => {
            let these = users::table.filter(users::external_id.eq(external_id.as_str()));
            let row = these.select(UserRow::as_select()).get_result::<UserRow>(sqlite);
            return row.optional().map(|found| found.map(User::from));
        }
        Lookup::Email(key) => key,
    };
    let rows: Vec<UserRow> = if key.is_plain() {
        users::table.filter(users::email_key.eq(key.as_str())).select(UserRow::as_select()).load(sqlite)
    } else {
        let has_legacy_key = users::email_key.eq(key.legacy()).and(not(users::has_keys));
        let matches = users::address_key.eq(key.as_str()).or(has_legacy_key);
        users::table
            .filter(matches)
            .order((users::has_keys.desc(), users::id))
            .select(UserRow::as_select())
            .load(sqlite)
    }?;
    Ok(users_by_key(rows.into_iter().map(User::from).collect()).remove(key.as_str()))
}

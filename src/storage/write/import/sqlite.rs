//! The rows of a chunk on SQLite, in their order.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::{Row, RowOutcome, has_address, is_as_in, update_of};
use crate::domain::{EmailKey, OnConflict, Position, User};
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::event_log::record::Stamp;
use crate::storage::write::request::Create;
use crate::storage::write::sqlite::{create_in_order, last_offset, update_one};

pub(super) fn store_rows(
    sqlite: &mut SqliteConnection,
    rows: &[&Row],
    on_conflict: OnConflict,
    stamp: Stamp,
) -> QueryResult<(Vec<RowOutcome>, Position)> {
    let creates = Vec::from_iter(rows.iter().filter_map(|row| row.write.create()));
    let created = create_in_order(sqlite, &creates, stamp)?;
    let mut outcomes = Vec::with_capacity(creates.len());
    for ((row, create), created) in rows.iter().zip(creates).zip(created) {
        outcomes.push(match created {
            Ok(user) => RowOutcome::Created(user),
            Err(error) => match resolve(sqlite, row, create, on_conflict, stamp)? {
                Some(outcome) => outcome,
                None => RowOutcome::Refused(error),
            },
        });
    }
    let end = last_offset(sqlite)?;
    Ok((outcomes, end))
}

/// Does what is to be done about the user that has the address of a row. `None` if nothing can be.
fn resolve(
    sqlite: &mut SqliteConnection,
    row: &Row,
    create: &Create,
    on_conflict: OnConflict,
    stamp: Stamp,
) -> QueryResult<Option<RowOutcome>> {
    if on_conflict == OnConflict::Fail {
        return Ok(None);
    }
    let holder = holder(sqlite, create.email_key())?.filter(|holder| has_address(holder, create));
    let Some(holder) = holder else { return Ok(None) };
    if on_conflict == OnConflict::Skip || is_as_in(&holder, row, create) {
        return Ok(Some(RowOutcome::Skipped));
    }
    let updated = update_one(sqlite, &update_of(holder.id, row, create), stamp)?;
    Ok(Some(RowOutcome::of_update(updated)))
}

fn holder(sqlite: &mut SqliteConnection, key: &EmailKey) -> QueryResult<Option<User>> {
    let has_address = users::address_key.eq(key.address_key());
    let mut holder = users::table.filter(has_address).select(UserRow::as_select()).first(sqlite).optional()?;
    if holder.is_none() {
        let has_legacy = users::email_key.eq(key.legacy());
        holder = users::table.filter(has_legacy).select(UserRow::as_select()).first(sqlite).optional()?;
    }
    Ok(holder.map(User::from))
}

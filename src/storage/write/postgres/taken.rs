//! What is in the way of writes that were refused because of a unique index.

use std::collections::HashMap;

use diesel::pg::PgConnection;
use diesel::prelude::*;

use crate::domain::{EmailKey, Error, ExternalId};
use crate::storage::database::schema::tables::users;
use crate::storage::engine::request::Execution;
use crate::storage::write::request::Write;

/// Tells the refused writes with an external id apart: the statement says of each only that the address or the external
/// id is taken. If neither is taken any more, another write has given it up since: that one counts as locked, and is tried
/// again after a pause. In a transaction, where it may be a write of the same, it is refused.
///
/// # Errors
/// When the database cannot say. The executions are as they were.
pub(super) fn name_what_is_taken(
    postgres: &mut PgConnection,
    batch: &[&Write],
    executions: &mut [Execution<Write>],
    in_transaction: bool,
) -> QueryResult<()> {
    let refused = batch.iter().zip(&*executions).filter(|(write, execution)| is_open(write, execution));
    let refused = Vec::from_iter(refused.map(|(write, _)| *write));
    if refused.is_empty() {
        return Ok(());
    }
    let taken = Taken::find(postgres, &refused)?;
    for (write, execution) in batch.iter().zip(executions) {
        if is_open(write, execution) {
            *execution = match taken.by_another(write) {
                Some(error) => Execution::Executed(Err(error)),
                None if in_transaction => Execution::Executed(Err(Error::ExternalIdTaken)),
                None => Execution::Locked,
            };
        }
    }
    Ok(())
}

/// Whether it has to be told what is in the way of a write.
pub(super) fn is_open(write: &Write, execution: &Execution<Write>) -> bool {
    write.external_id().is_some() && matches!(execution, Execution::Executed(Err(Error::EmailTaken)))
}

/// The users that have addresses and external ids.
struct Taken {
    external_ids: HashMap<String, i64>,
    legacy: HashMap<String, i64>,
    addresses: HashMap<String, i64>,
}

impl Taken {
    fn find(postgres: &mut PgConnection, refused: &[&Write]) -> QueryResult<Self> {
        let external_ids =
            Vec::from_iter(refused.iter().filter_map(|write| write.external_id()).map(ExternalId::as_str));
        let these = users::table.filter(users::external_id.eq_any(external_ids));
        let found: Vec<(Option<String>, i64)> = these.select((users::external_id, users::id)).load(postgres)?;
        let external_ids = found.into_iter().filter_map(|(external_id, id)| Some((external_id?, id))).collect();

        let keys = Vec::from_iter(refused.iter().filter_map(|write| write.new_address()));
        let legacy = Vec::from_iter(keys.iter().map(|key| key.legacy()));
        let addresses = Vec::from_iter(keys.iter().filter_map(|key| key.address_key()));
        let these = users::table.filter(users::email_key.eq_any(legacy).or(users::address_key.eq_any(addresses)));
        let found: Vec<(String, Option<String>, i64)> =
            these.select((users::email_key, users::address_key, users::id)).load(postgres)?;
        let mut taken = Self { external_ids, legacy: HashMap::new(), addresses: HashMap::new() };
        for (legacy, address, id) in found {
            taken.legacy.insert(legacy, id);
            taken.addresses.extend(address.map(|address| (address, id)));
        }
        Ok(taken)
    }

    fn by_another(&self, write: &Write) -> Option<Error> {
        let is_others = |id: &i64| write.user().is_none_or(|user| user.get() != *id);
        let is_taken = |key: &EmailKey| {
            let holders = [self.legacy.get(key.legacy()), key.address_key().and_then(|key| self.addresses.get(key))];
            holders.into_iter().flatten().any(is_others)
        };
        if write.new_address().is_some_and(is_taken) {
            return Some(Error::EmailTaken);
        }
        let holder = write.external_id().and_then(|external_id| self.external_ids.get(external_id.as_str()));
        holder.is_some_and(is_others).then_some(Error::ExternalIdTaken)
    }
}

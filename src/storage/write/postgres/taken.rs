//! What is in the way of writes that were refused because of a unique index.

use std::collections::HashMap;

use diesel::pg::PgConnection;
use diesel::prelude::*;

use crate::domain::{EmailKey, Error, ExternalId};
use crate::storage::database::schema::tables::users;
use crate::storage::engine::request::Execution;
use crate::storage::write::request::Write;

/// Tells the refused writes with an external id apart: the statement says of each only that the address or the external
/// id is taken. One of which neither is taken any more is decided anew, in a later batch.
///
/// # Errors
/// When the database cannot say. The executions are as they were.
pub(super) fn name_what_is_taken(
    postgres: &mut PgConnection,
    batch: &[&Write],
    executions: &mut [Execution<Write>],
) -> QueryResult<()> {
    let refused = batch.iter().zip(&*executions).filter(|(write, execution)| is_open(write, execution));
    let refused = Vec::from_iter(refused.map(|(write, _)| *write));
    if refused.is_empty() {
        return Ok(());
    }
    let taken = Taken::find(postgres, &refused)?;
    for (write, execution) in batch.iter().zip(executions) {
        if is_open(write, execution) {
            *execution = taken.outcome_of(write);
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
        let keys =
            found.into_iter().flat_map(|(legacy, address, id)| [Some(legacy), address].map(|key| Some((key?, id))));
        let addresses = keys.flatten().collect();
        Ok(Self { external_ids, addresses })
    }

    fn outcome_of(&self, write: &Write) -> Execution<Write> {
        let is_others = |id: &i64| write.user().is_none_or(|user| user.get() != *id);
        let is_taken = |key: &EmailKey| {
            let keys = [Some(key.legacy()), key.address_key()].into_iter().flatten();
            keys.filter_map(|key| self.addresses.get(key)).any(is_others)
        };
        if write.new_address().is_some_and(is_taken) {
            return Execution::Executed(Err(Error::EmailTaken));
        }
        let holder = write.external_id().and_then(|external_id| self.external_ids.get(external_id.as_str()));
        if holder.is_some_and(is_others) {
            Execution::Executed(Err(Error::ExternalIdTaken))
        } else {
            Execution::Deferred
        }
    }
}

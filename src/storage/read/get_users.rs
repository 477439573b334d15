//! Look-ups: one user by id, by address or by external id.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::result::Error as DieselError;

use super::get_cached::get_cached;
use super::get_on_postgres::get_together;
use super::get_on_sqlite::get_one_by_one;
use super::lookup::{LookedUp, Lookup};
use crate::domain::{AsOf, Error, Position};
use crate::storage::database::connection::Connection;
use crate::storage::database::connection::batch_error::BatchError;
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::database::schema::log_end::log_end;
use crate::storage::database::unstorable_text::is_unstorable;
use crate::storage::engine::request::{Execution, Request};

impl Request for Lookup {
    type Answer = LookedUp;

    // A read changes nothing, so a lost response has no unknown outcome.
    const UNANSWERED: Error = Error::Unavailable;

    fn run(connection: &mut Connection, batch: &[&Self], _: LockPolicy) -> Result<Vec<Execution<Self>>, BatchError> {
        let asked = |found| LookedUp { found, is_hit: false };
        let users: Vec<LookedUp> = match connection {
            Connection::Sqlite(sqlite, _) => get_one_by_one(sqlite, batch)?.into_iter().map(asked).collect(),
            Connection::Postgres(postgres, Some(cache)) => {
                get_cached(postgres, cache, batch).or_else(|error| none_if_unstorable(postgres, batch, error))?
            }
            Connection::Postgres(postgres, None) => {
                let found = get_together(postgres, batch).map(|found| found.into_iter().map(asked).collect());
                found.or_else(|error| none_if_unstorable(postgres, batch, error))?
            }
        };
        Ok(users.into_iter().map(Ok).map(Execution::Executed).collect())
    }
}

/// The outcome of a look-up that failed alone: no user, if the database cannot store the address; otherwise the failure
/// itself.
fn none_if_unstorable(
    postgres: &mut PgConnection,
    batch: &[&Lookup],
    error: DieselError,
) -> QueryResult<Vec<LookedUp>> {
    let texts = match batch {
        [Lookup::Email(key)] => [key.as_str(), key.legacy()],
        [Lookup::ExternalId(external_id)] => [external_id.as_str(); 2],
        _ => return Err(error),
    };
    let is_unstorable = texts.into_iter().any(|text| is_unstorable(postgres, text, &error));
    if !is_unstorable {
        return Err(error);
    }
    let end = diesel::select(log_end()).get_result(postgres)?;
    Ok(vec![LookedUp { found: AsOf::latest(None, Position(end)), is_hit: false }])
}

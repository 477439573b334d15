//! Look-ups on PostgreSQL that go through the user cache (`storage::user_cache`).
//!
//! One statement reads what has changed, and the users that are not in memory. So a batch costs one round trip, whether
//! or not all its users are in memory, and all misses share it. A look-up that a change may have touched is made again,
//! with the row from the database.

use std::collections::HashMap;

use diesel::QueryResult;
use diesel::pg::PgConnection;

use super::get_on_postgres::get_together;
use super::lookup::{LookedUp, Lookup, users_by_key};
use super::tail_statement::{Found, read};
use crate::domain::{AsOf, User};
use crate::storage::user_cache::{Changed, Fill, LookupKey, PostgresCache, Ticket};

/// How many statements a batch sends until all that has happened since the last one is read. Each reads 128 events.
const MAX_STATEMENTS: usize = 8;

/// A look-up that is still to be answered.
type Open<'a, 'b> = (&'a Lookup, LookupKey<'a>, &'b mut Option<LookedUp>);

/// Looks up users, in memory where they are known.
pub(super) fn get_cached(
    postgres: &mut PgConnection,
    cache: &PostgresCache,
    batch: &[&Lookup],
) -> QueryResult<Vec<LookedUp>> {
    let mut answers = Vec::from_iter(batch.iter().map(|_| None));
    for statement in 1..=MAX_STATEMENTS {
        let open = batch.iter().copied().zip(&mut answers).filter(|(_, answer)| answer.is_none());
        let open = open.filter_map(|(lookup, answer)| Some((lookup, lookup.cached_key()?, answer)));
        let open = Vec::from_iter(open);
        let Some(ticket) = cache.ticket().filter(|_| !open.is_empty()) else { break };
        let is_cut = answer_together(postgres, cache, &ticket, open)?;
        if is_cut && statement == MAX_STATEMENTS {
            cache.fall_behind(&ticket);
        }
    }
    // The cache is about to start, knows no such keys, or cannot catch up.
    let rest = Vec::from_iter(batch.iter().copied().zip(&mut answers).filter(|(_, answer)| answer.is_none()));
    if !rest.is_empty() {
        let lookups = Vec::from_iter(rest.iter().map(|(lookup, _)| *lookup));
        for ((_, answer), found) in rest.into_iter().zip(get_together(postgres, &lookups)?) {
            *answer = Some(LookedUp { found, is_hit: false });
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

/// Sends one statement, and answers the look-ups that it settles. Returns whether there are more events to read first.
fn answer_together(
    postgres: &mut PgConnection,
    cache: &PostgresCache,
    ticket: &Ticket,
    open: Vec<Open<'_, '_>>,
) -> QueryResult<bool> {
    let held = Vec::from_iter(open.iter().map(|(_, key, _)| cache.get(*key)));
    let missed = open.iter().zip(&held).filter(|(_, held)| held.is_none());
    let missed = Vec::from_iter(missed.map(|((lookup, key, _), _)| (*lookup, *key)));
    let (ids, keys) = split(&missed);
    let Found { tail, by_id, by_key } = read(postgres, ticket, ids, keys)?;
    let changes = match tail.changes_since(ticket) {
        Ok(changes) => changes,
        Err(reason) => {
            cache.start_over(ticket, reason);
            return Ok(false);
        }
    };
    let users =
        Users { by_id: by_id.into_iter().map(|user| (user.id.get(), user)).collect(), by_key: users_by_key(by_key) };
    let fills = missed.iter().map(|(lookup, key)| Fill { key: *key, user: users.get(lookup) });
    if !cache.take_in(ticket, &tail, fills) || tail.is_cut {
        return Ok(tail.is_cut);
    }
    let mut hits = 0;
    let end = tail.highest(ticket);
    for ((lookup, key, answer), held) in open.into_iter().zip(held) {
        let is_hit = held.is_some();
        let now = match held {
            Some(known) => match changes.of(key, &known) {
                Changed::No => Some(known),
                Changed::To(known) => Some(known),
                Changed::Perhaps => None,
            },
            None => Some(users.get(lookup).cloned()),
        };
        *answer = now.map(|known| LookedUp { found: AsOf::latest(known, end), is_hit });
        hits += usize::from(answer.is_some());
    }
    let hits = hits - missed.len();
    cache.looked_up(hits, missed.len());
    Ok(false)
}

/// The ids, and the keys of addresses.
fn split<'a>(missed: &[(&'a Lookup, LookupKey<'a>)]) -> (Vec<i64>, Vec<&'a str>) {
    let ids = missed.iter().filter_map(|(_, key)| if let LookupKey::Id(id) = key { Some(id.get()) } else { None });
    let keys =
        missed.iter().filter_map(|(_, key)| if let LookupKey::Address(key) = key { Some(key.as_str()) } else { None });
    (ids.collect(), keys.collect())
}

/// Users that were read.
struct Users {
    by_id: HashMap<i64, User>,
    by_key: HashMap<String, User>,
}

impl Users {
    fn get(&self, lookup: &Lookup) -> Option<&User> {
        match lookup {
            Lookup::Id(id) => self.by_id.get(&id.get()),
            Lookup::Email(key) => self.by_key.get(key.as_str()),
            Lookup::ExternalId(_) => None,
        }
    }
}

//! Batches of one caller: many look-ups or writes that are asked for together.

use std::collections::HashSet;
use std::time::Duration;

use diesel::prelude::*;
use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, timeout_at};

use super::batch_slots::BatchSlot;
use super::database::connection::{Connection, on_backend};
use super::database::schema::tables::idempotency_keys;
use super::engine::request::Request as _;
use super::read::lookup::Lookup;
use super::write::atomic::{AtomicAnswer, AtomicBatch};
use super::write::request::Write;
use super::{Storage, trace, with_user};
use crate::domain::{AsOf, EmailKey, Error, Freshness, OnceEach, Operation, Position, User, UserId, Written};
use crate::telemetry::Context;

/// How many times the deadline of a single request a whole batch may take.
const DEADLINES: u32 = 30;

/// A write of a batch, with its place there.
type Placed = (usize, Write);

#[expect(clippy::missing_errors_doc, reason = "`Storage` documents the errors that all methods share")]
impl Storage {
    /// Takes the room for a batch of this caller, before its body is read. [`Error::Overloaded`] if there is none.
    pub fn batch_slot(&self, caller: &[u8; 32]) -> Result<BatchSlot, Error> {
        self.batch_slots.take(caller)
    }

    /// Gets the users with these ids, in this order.
    pub async fn get_users(
        &self,
        ids: Vec<UserId>,
        freshness: &Freshness,
        caller: &[u8; 32],
    ) -> Result<AsOf<Vec<Option<User>>>, Error> {
        self.look_up_each(ids.into_iter().map(Lookup::Id).collect(), freshness, caller).await
    }

    /// Gets the users with these addresses, in this order.
    pub async fn get_users_by_email(
        &self,
        emails: Vec<EmailKey>,
        freshness: &Freshness,
        caller: &[u8; 32],
    ) -> Result<AsOf<Vec<Option<User>>>, Error> {
        self.look_up_each(emails.into_iter().map(Lookup::Email).collect(), freshness, caller).await
    }

    async fn look_up_each(
        &self,
        mut lookups: Vec<Lookup>,
        freshness: &Freshness,
        caller: &[u8; 32],
    ) -> Result<AsOf<Vec<Option<User>>>, Error> {
        let give_up_at = give_up_at(self.lookups.deadline());
        let mut users = AsOf::latest(Vec::with_capacity(lookups.len()), Position::default());
        while !lookups.is_empty() {
            let later = lookups.split_off(lookups.len().min(self.lookup_windows.size()));
            let window = timeout_at(give_up_at, self.lookup_windows.enter(caller)).await;
            let window = window.ok().filter(|_| Instant::now() <= give_up_at).ok_or(Error::Overloaded)?;
            let found = try_join_all(lookups.into_iter().map(|lookup| self.look_up(lookup, freshness))).await?;
            drop(window);
            for user in found {
                users = users.and(user, |mut users, user| {
                    users.push(user);
                    users
                });
            }
            lookups = later;
        }
        Ok(users)
    }

    /// Executes each operation by itself. Returns their outcomes in the same order: the user that a create or an update
    /// has left.
    ///
    /// Operations on one user or one address are executed one after the other, in this order. Others share batches with
    /// those of other callers. An operation that was not sent when the time for the batch was over is
    /// [`Error::Overloaded`].
    pub async fn write_each(
        &self,
        operations: Vec<(usize, Operation)>,
        once: Option<&OnceEach>,
        caller: &[u8; 32],
    ) -> Vec<(usize, Result<Written<Option<User>>, Error>)> {
        let give_up_at = give_up_at(self.writes.deadline());
        let mut outcomes = Vec::with_capacity(operations.len());
        let mut open = placed(operations, once);
        while !open.is_empty() {
            let window = timeout_at(give_up_at, self.write_windows.enter(caller)).await;
            if window.is_err() || Instant::now() > give_up_at {
                outcomes.extend(open.into_iter().map(|(place, _)| (place, Err(Error::Overloaded))));
                break;
            }
            let (now, later) = next_window(open, self.write_windows.size());
            outcomes.extend(
                join_all(now.into_iter().map(async |(place, write)| {
                    let is_delete = matches!(write, Write::Delete(_));
                    (place, self.write(write).await.and_then(|written| left_by(written, is_delete)))
                }))
                .await,
            );
            drop(window);
            open = later;
        }
        outcomes
    }

    /// Executes all operations or none, in one transaction: deletes first, then updates, then creates. No two of them
    /// may touch the same user, address or external id.
    pub async fn write_all_or_none(
        &self,
        operations: Vec<Operation>,
        once: Option<&OnceEach>,
    ) -> Result<AtomicAnswer, Error> {
        let writes = placed(operations.into_iter().enumerate().collect(), once);
        let writes = Vec::from_iter(writes.into_iter().map(|(_, write)| write));
        let answer = self.atomic.ask(AtomicBatch { writes }).await?;
        if answer.as_ref().is_ok_and(|written| written.is_replay) {
            self.idempotency.replayed();
        }
        Ok(answer)
    }

    /// Fails with [`Error::KeyReused`] if the idempotency key of a batch belongs to another batch.
    pub async fn check_reuse(&self, once: &OnceEach) -> Result<(), Error> {
        let (first, end) = once.ids();
        let stored = self.calls.run(move |connection| request_of(connection, &first, &end)).await?;
        if stored.is_some_and(|stored| stored != once.fingerprint()) { Err(Error::KeyReused) } else { Ok(()) }
    }
}

/// The user that a write has left. If an operator has erased what was stored of it, nobody is there any more.
fn left_by(written: Written<Option<User>>, is_delete: bool) -> Result<Written<Option<User>>, Error> {
    if is_delete { Ok(written.map(|_| None)) } else { Ok(with_user(written)?.map(Some)) }
}

/// When a batch is over whose operations have this deadline each.
fn give_up_at(deadline: Duration) -> Instant {
    let callers = Context::current().and_then(|context| context.deadline).map(Instant::from_std);
    let own = Instant::now() + deadline * DEADLINES;
    callers.map_or(own, |callers| callers.min(own))
}

/// The fingerprint of the request that was stored with one of these keys, if there is one.
fn request_of(connection: &mut Connection, first: &[u8], end: &[u8]) -> QueryResult<Option<Vec<u8>>> {
    on_backend!(connection, |connection| {
        let these = idempotency_keys::table.filter(idempotency_keys::key.ge(first).and(idempotency_keys::key.lt(end)));
        these.select(idempotency_keys::request).first(connection).optional()
    })
}

fn placed(operations: Vec<(usize, Operation)>, once: Option<&OnceEach>) -> Vec<Placed> {
    let trace = trace();
    let place = |(place, operation)| (place, Write::new(operation, trace, once.map(|once| once.at(place))));
    operations.into_iter().map(place).collect()
}

/// Picks the writes of the next window: the first ones that share no conflict key with an earlier one, which is either in
/// the window or waits, too.
fn next_window(open: Vec<Placed>, size: usize) -> (Vec<Placed>, Vec<Placed>) {
    let mut is_now = in_next_window(&open, size).into_iter();
    open.into_iter().partition(|_| is_now.next().unwrap_or_default())
}

fn in_next_window(open: &[Placed], size: usize) -> Vec<bool> {
    let (mut held, mut picked) = (HashSet::new(), 0);
    let mut is_in_window = Vec::with_capacity(open.len());
    for (_, write) in open {
        let mut is_free = picked < size;
        for key in write.conflict_keys().into_iter().flatten() {
            // Each key is held, or a later write would overtake this one.
            is_free &= held.insert(key);
        }
        picked += usize::from(is_free);
        is_in_window.push(is_free);
    }
    is_in_window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NewUser, RawProfile};

    fn create(email: &str) -> Operation {
        Operation::Create(NewUser::parse("x".into(), email.into(), RawProfile::default()).unwrap())
    }

    fn delete(id: i64) -> Operation {
        Operation::Delete { id: UserId::stored(id), expected: None }
    }

    #[test]
    fn a_window_has_no_two_writes_of_one_user_or_address() {
        let operations = [delete(1), delete(2), delete(1), create("a@x.org"), create("A@x.org"), delete(1), delete(3)];
        let mut open = placed(operations.into_iter().enumerate().collect(), None);
        let mut windows = Vec::new();
        while !open.is_empty() {
            let (now, later) = next_window(open, 3);
            windows.push(Vec::from_iter(now.into_iter().map(|(place, _)| place)));
            open = later;
        }
        assert_eq!(windows, [vec![0, 1, 3], vec![2, 4, 6], vec![5]]);
    }
}

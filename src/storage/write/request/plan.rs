//! Plans which writes of a batch run together in one statement.
//!
//! In one statement the order of writes does not count, so no two of them may share a conflict key: the same user or
//! the same address. `plan`, a pure function, picks the writes that may run. It puts the others back, unclaimed; they
//! are the first of the next batch, where they see the result of the earlier ones. A crowd at one user gets one write
//! per batch and delays no other write: the waiting writes take no slots in a batch, and at most one batch of them may
//! wait. Further ones are refused at once.
//!
//! Creates are executed in the order of their addresses, and users are locked in the order of their ids. So two
//! replicas that change the same users do not deadlock. Deadlocks remain possible where writes take or free addresses or
//! external ids that another replica's batch takes or frees in the same moment: a timeout resolves them.

use std::collections::HashSet;

use super::{Create, Delete, Update, Write};
use crate::storage::engine::conflict_key::ConflictKey;

/// A write and its index in the batch.
pub(crate) type Planned<'a, T> = (usize, &'a T);

/// The writes that run now, each kind in the order of its keys. So two replicas that create the same users, or change
/// the same users, do not deadlock. Changes of addresses cross both orders: two replicas that take each other's
/// addresses can deadlock. Then a timeout ends the wait, and each message is tried alone.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// By address.
    pub(crate) creates: Vec<Planned<'a, Create>>,
    /// By id.
    pub(crate) updates: Vec<Planned<'a, Update>>,
    /// By id.
    pub(crate) deletes: Vec<Planned<'a, Delete>>,
}

/// Picks the writes of a batch that run now.
pub(crate) fn plan<'a>(batch: &[&'a Write]) -> Plan<'a> {
    let mut plan = Plan::default();
    let mut seen: HashSet<ConflictKey<'a>> = HashSet::with_capacity(batch.len());
    for (at, write) in batch.iter().enumerate() {
        let mut free = true;
        for key in write.keys().into_iter().flatten() {
            // The keys of a waiting write are not free either, or a later write would overtake it.
            free &= seen.insert(key);
        }
        if free {
            plan.push(at, write);
        }
    }
    plan.sort();
    plan
}

impl<'a> Plan<'a> {
    /// Whether a write carries an idempotency key.
    pub(crate) fn has_keys(&self) -> bool {
        self.creates.iter().any(|(_, create)| create.once().is_some())
            || self.updates.iter().any(|(_, update)| update.once.is_some())
            || self.deletes.iter().any(|(_, delete)| delete.once.is_some())
    }

    /// Whether a write gives a user a profile, or changes one.
    pub(crate) fn has_profiles(&self) -> bool {
        self.creates.iter().any(|(_, create)| create.profile().is_some())
            || self.updates.iter().any(|(_, update)| update.profile_change().is_some())
    }

    /// Whether an update changes a profile.
    pub(crate) fn changes_profiles(&self) -> bool {
        self.updates.iter().any(|(_, update)| update.profile_change().is_some())
    }

    /// Whether there is nothing to do.
    pub(crate) const fn is_empty(&self) -> bool {
        self.creates.is_empty() && self.updates.is_empty() && self.deletes.is_empty()
    }

    fn push(&mut self, at: usize, write: &'a Write) {
        match write {
            Write::Create(row) => self.creates.push((at, row)),
            Write::Update(update) => self.updates.push((at, update)),
            Write::Delete(delete) => self.deletes.push((at, delete)),
        }
    }

    fn sort(&mut self) {
        self.creates.sort_unstable_by(|(_, one), (_, other)| one.email_key().legacy().cmp(other.email_key().legacy()));
        self.updates.sort_unstable_by_key(|(_, update)| update.id);
        self.deletes.sort_unstable_by_key(|(_, delete)| delete.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Assignment, Changes, NewUser, RawProfile, UserId};

    fn create(email: &str) -> Write {
        Write::Create(Create::new(
            NewUser::parse("Ann".into(), email.into(), RawProfile::default()).unwrap(),
            None,
            None,
        ))
    }

    fn update(id: i64, email: Option<&str>) -> Write {
        let changes = Changes::parse(None, email.map(Into::into), RawProfile::default()).unwrap();
        Write::Update(Update::new(UserId::stored(id), None, changes, None, None))
    }

    fn delete(id: i64) -> Write {
        Write::Delete(Delete { id: UserId::stored(id), expected: None, trace: None, once: None })
    }

    /// The indexes of the writes that run: creates, updates, deletes.
    fn indexes(batch: &[Write]) -> [Vec<usize>; 3] {
        fn indexes_of<T>(planned: &[Planned<'_, T>]) -> Vec<usize> {
            planned.iter().map(|(at, _)| *at).collect()
        }
        let plan = plan(&Vec::from_iter(batch));
        [indexes_of(&plan.creates), indexes_of(&plan.updates), indexes_of(&plan.deletes)]
    }

    #[test]
    fn writes_without_conflicts_run_together_in_the_order_of_their_keys() {
        let batch =
            [create("b@x.co"), update(9, None), create("a@x.co"), delete(4), update(7, Some("c@x.co")), delete(3)];
        assert_eq!(indexes(&batch), [vec![2, 0], vec![4, 1], vec![5, 3]]);
    }

    #[test]
    fn of_the_writes_for_one_user_the_first_runs() {
        let batch = [update(1, None), update(1, None), delete(1), update(2, None)];
        assert_eq!(indexes(&batch), [vec![], vec![0, 3], vec![]]);
    }

    #[test]
    fn of_the_writes_for_one_address_the_first_runs_whatever_its_case() {
        let batch = [create("A@x.co"), create("a@X.co"), update(1, Some("a@x.co")), create("b@x.co")];
        assert_eq!(indexes(&batch), [vec![0, 3], vec![], vec![]]);
    }

    #[test]
    fn of_the_writes_for_one_external_id_the_first_runs() {
        let profile = || RawProfile { external_id: Assignment::Set("x".into()), ..RawProfile::default() };
        let create = |email: &str| {
            let new = NewUser::parse("Ann".into(), email.into(), profile()).unwrap();
            Write::Create(Create::new(new, None, None))
        };
        let changes = Changes::parse(None, None, profile()).unwrap();
        let update = Write::Update(Update::new(UserId::stored(1), None, changes, None, None));
        assert_eq!(indexes(&[create("a@x.co"), create("b@x.co"), update, delete(2)]), [vec![0], vec![], vec![3]]);
    }

    #[test]
    fn a_waiting_write_is_not_overtaken() {
        let batch = [create("a@x.co"), update(1, Some("a@x.co")), delete(1), create("b@x.co")];
        assert_eq!(indexes(&batch), [vec![0, 3], vec![], vec![]]);
    }

    #[test]
    fn an_empty_batch_has_an_empty_plan() {
        assert!(indexes(&[]).iter().all(Vec::is_empty));
    }
}

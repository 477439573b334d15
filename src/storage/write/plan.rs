//! Which writes of a batch run together, where one statement takes them all.
//!
//! No two of them touch the same user or the same address, so their order does not matter. Whoever touches what an earlier
//! message touches waits for the next batch, and so sees what that one did; meanwhile it holds nobody else up.

use std::collections::HashSet;

use super::{Create, Delete, Update, Write};
use crate::storage::engine::touched::Touched;

/// A message and its place in the batch.
pub(super) type Planned<'a, T> = (usize, &'a T);

/// The writes that run now, each kind in the order of its keys, so that two replicas which create the same users, or change
/// the same users, do not wait for each other in a circle. Changes of addresses cross both orders: two replicas that give
/// away each other's addresses can meet, and then a timeout parts them and each message is tried alone.
#[derive(Default)]
pub(super) struct Plan<'a> {
    /// By address.
    pub(super) creates: Vec<Planned<'a, Create>>,
    /// By id.
    pub(super) updates: Vec<Planned<'a, Update>>,
    /// By id.
    pub(super) deletes: Vec<Planned<'a, Delete>>,
}

/// Picks the writes of a batch that run now.
pub(super) fn plan<'a>(batch: &[&'a Write]) -> Plan<'a> {
    let mut plan = Plan::default();
    let mut seen: HashSet<Touched<'a>> = HashSet::with_capacity(batch.len());
    for (at, write) in batch.iter().enumerate() {
        let mut free = true;
        for thing in write.touched().into_iter().flatten() {
            // What a waiting message touches is not free either, or a later one would overtake it.
            free &= seen.insert(thing);
        }
        if free {
            plan.push(at, write);
        }
    }
    plan.sort();
    plan
}

impl<'a> Plan<'a> {
    fn push(&mut self, at: usize, write: &'a Write) {
        match write {
            Write::Create(row) => self.creates.push((at, row)),
            Write::Update(update) => self.updates.push((at, update)),
            Write::Delete(delete) => self.deletes.push((at, delete)),
        }
    }

    fn sort(&mut self) {
        self.creates.sort_unstable_by(|(_, one), (_, other)| one.email_key().older().cmp(other.email_key().older()));
        self.updates.sort_unstable_by_key(|(_, update)| update.id);
        self.deletes.sort_unstable_by_key(|(_, delete)| delete.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Changes, NewUser, UserId};

    fn create(email: &str) -> Write {
        Write::Create(Create::new(NewUser::parse("Ann".into(), email.into()).unwrap(), None))
    }

    fn update(id: i64, email: Option<&str>) -> Write {
        let changes = Changes::parse(None, email.map(Into::into)).unwrap();
        Write::Update(Update::new(UserId::stored(id), None, changes, None))
    }

    fn delete(id: i64) -> Write {
        Write::Delete(Delete { id: UserId::stored(id), expected: None, trace: None })
    }

    /// The places of those that run now: creates, updates, deletes.
    fn places(batch: &[Write]) -> [Vec<usize>; 3] {
        fn places<T>(planned: &[Planned<'_, T>]) -> Vec<usize> {
            planned.iter().map(|(at, _)| *at).collect()
        }
        let plan = plan(&Vec::from_iter(batch));
        [places(&plan.creates), places(&plan.updates), places(&plan.deletes)]
    }

    #[test]
    fn strangers_run_together_in_the_order_of_their_keys() {
        let batch =
            [create("b@x.co"), update(9, None), create("a@x.co"), delete(4), update(7, Some("c@x.co")), delete(3)];
        assert_eq!(places(&batch), [vec![2, 0], vec![4, 1], vec![5, 3]]);
    }

    #[test]
    fn of_the_messages_for_one_user_the_first_runs() {
        let batch = [update(1, None), update(1, None), delete(1), update(2, None)];
        assert_eq!(places(&batch), [vec![], vec![0, 3], vec![]]);
    }

    #[test]
    fn of_the_messages_for_one_address_the_first_runs_whatever_its_case() {
        let batch = [create("A@x.co"), create("a@X.co"), update(1, Some("a@x.co")), create("b@x.co")];
        assert_eq!(places(&batch), [vec![0, 3], vec![], vec![]]);
    }

    #[test]
    fn nobody_overtakes_a_message_that_waits() {
        let batch = [create("a@x.co"), update(1, Some("a@x.co")), delete(1), create("b@x.co")];
        assert_eq!(places(&batch), [vec![0, 3], vec![], vec![]]);
    }

    #[test]
    fn nothing_is_no_plan() {
        assert!(places(&[]).iter().all(Vec::is_empty));
    }
}

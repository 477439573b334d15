//! How a batch of writes is cut into statements, where one statement takes many rows.
//!
//! A wave holds no two messages that touch the same user or the same address. So within a wave the order does not matter
//! and one statement a kind will do; between waves it is the order of arrival, and each message sees what the ones before
//! it did to its row. Most batches are one wave.

use std::collections::HashMap;

use super::create_users::NewRow;
use super::delete_users::Delete;
use super::update_users::Update;
use super::write::Write;

/// A message and its place in the batch.
pub(super) type Planned<'a, T> = (usize, &'a T);

/// Messages that can run together, each kind in the order of its keys, so that two replicas which create the same users, or
/// change the same users, do not wait for each other in a circle. Changes of addresses cross both orders: two replicas that
/// give away each other's addresses can meet, and then a timeout parts them and each message is tried alone.
#[derive(Default)]
pub(super) struct Wave<'a> {
    /// By address.
    pub(super) creates: Vec<Planned<'a, NewRow>>,
    /// By id.
    pub(super) updates: Vec<Planned<'a, Update>>,
    /// By id.
    pub(super) deletes: Vec<Planned<'a, Delete>>,
}

#[derive(PartialEq, Eq, Hash)]
enum Touched<'a> {
    User(i64),
    Address(&'a str),
}

/// Cuts a batch into waves.
pub(super) fn waves<'a>(batch: &[&'a Write]) -> Vec<Wave<'a>> {
    let mut waves: Vec<Wave<'a>> = Vec::new();
    // For each thing touched, the first wave that is free of it.
    let mut free: HashMap<Touched<'a>, usize> = HashMap::with_capacity(batch.len());
    for (at, write) in batch.iter().enumerate() {
        let touched = touched(write);
        let wave = touched.iter().flatten().filter_map(|thing| free.get(thing)).max().copied().unwrap_or(0);
        free.extend(touched.into_iter().flatten().map(|thing| (thing, wave + 1)));
        if wave == waves.len() {
            waves.push(Wave::default());
        }
        if let Some(wave) = waves.get_mut(wave) {
            wave.push(at, write);
        }
    }
    waves.iter_mut().for_each(Wave::sort);
    waves
}

fn touched(write: &Write) -> [Option<Touched<'_>>; 2] {
    match write {
        Write::Create(row) => [Some(Touched::Address(row.email_key().as_str())), None],
        Write::Update(update) => {
            [Some(Touched::User(update.id.get())), update.email_key().map(|key| Touched::Address(key.as_str()))]
        }
        Write::Delete(delete) => [Some(Touched::User(delete.id.get())), None],
    }
}

impl<'a> Wave<'a> {
    fn push(&mut self, at: usize, write: &'a Write) {
        match write {
            Write::Create(row) => self.creates.push((at, row)),
            Write::Update(update) => self.updates.push((at, update)),
            Write::Delete(delete) => self.deletes.push((at, delete)),
        }
    }

    fn sort(&mut self) {
        self.creates.sort_unstable_by(|(_, one), (_, other)| one.email_key().cmp(other.email_key()));
        self.updates.sort_unstable_by_key(|(_, update)| update.id);
        self.deletes.sort_unstable_by_key(|(_, delete)| delete.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{Changes, NewUser, UserId};

    fn create(email: &str) -> Write {
        Write::Create(NewUser::parse("Ann".into(), email.into()).unwrap().into())
    }

    fn update(id: i64, email: Option<&str>) -> Write {
        let changes = Changes::parse(None, email.map(Into::into)).unwrap();
        Write::Update(Update::new(UserId::stored(id), None, changes))
    }

    fn delete(id: i64) -> Write {
        Write::Delete(Delete { id: UserId::stored(id), expected: None })
    }

    /// The places of each wave's messages: creates, updates, deletes.
    fn plan(batch: &[Write]) -> Vec<[Vec<usize>; 3]> {
        fn places<T>(planned: &[Planned<'_, T>]) -> Vec<usize> {
            planned.iter().map(|(at, _)| *at).collect()
        }
        let batch = Vec::from_iter(batch);
        let waves = waves(&batch);
        waves.iter().map(|wave| [places(&wave.creates), places(&wave.updates), places(&wave.deletes)]).collect()
    }

    #[test]
    fn strangers_share_a_wave_in_the_order_of_their_keys() {
        let batch =
            [create("b@x.co"), update(9, None), create("a@x.co"), delete(4), update(7, Some("c@x.co")), delete(3)];
        assert_eq!(plan(&batch), [[vec![2, 0], vec![4, 1], vec![5, 3]]]);
    }

    #[test]
    fn messages_for_one_user_keep_their_order() {
        let batch = [update(1, None), update(1, None), delete(1), update(2, None)];
        assert_eq!(plan(&batch), [[vec![], vec![0, 3], vec![]], [vec![], vec![1], vec![]], [vec![], vec![], vec![2]]]);
    }

    #[test]
    fn messages_for_one_address_keep_their_order_whatever_its_case() {
        let batch = [create("A@x.co"), create("a@X.co"), update(1, Some("a@x.co")), create("b@x.co")];
        assert_eq!(plan(&batch), [[vec![0, 3], vec![], vec![]], [vec![1], vec![], vec![]], [vec![], vec![2], vec![]]]);
    }

    #[test]
    fn a_message_comes_after_all_it_touches() {
        let batch = [create("a@x.co"), create("a@x.co"), update(1, None), update(1, Some("a@x.co")), delete(1)];
        assert_eq!(plan(&batch).len(), 4);
    }

    #[test]
    fn nothing_is_no_wave() {
        assert!(plan(&[]).is_empty());
    }
}

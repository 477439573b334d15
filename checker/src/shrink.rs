//! Makes a partition that no order explains small: as few calls as possible that still no order explains.
//!
//! A call may be left out only if that turns no linearizable history into one that is not. Otherwise the rest would show a
//! fault that the service does not have, such as a user whose create was left out. These may be left out:
//!
//! - **the future**: what started after a moment. A write that was open then may take effect or not, and says nothing;
//! - **a user**, with all calls about it: its reads and writes, its place in lists, and the answers that an address was
//!   taken which it may have had;
//! - **a user's past**: the same up to an update, which then leaves the user as it answered, whatever was before;
//! - **a call without effect**.
//!
//! In what remains each user is at each moment as it was or absent, and no call remains that would notice the absence.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::check::Bounds;
use crate::model::{Action, Answer};
use crate::partition::{Step, Tables};
use crate::wgl::{Found, search};

/// How many updates of a user are tried as the end of its past, the last ones first.
const PASTS: usize = 16;

/// A partition's smallest part that no order explains either, as far as the bounds let it be found.
pub(crate) fn shrink(tables: &Tables, steps: Vec<Step>, bounds: &Bounds) -> Vec<Step> {
    let shrinking = Shrinking {
        tables,
        deadline: Instant::now().checked_add(bounds.time),
        bounds: Bounds { states: bounds.states.min(2_000_000), time: bounds.time.min(Duration::from_secs(5)) },
    };
    let mut steps = shrinking.without_future(steps);
    loop {
        let before = steps.len();
        steps = shrinking.without_users(steps);
        steps = shrinking.without_idle(steps);
        steps = shrinking.without_pasts(steps);
        if steps.len() == before {
            return steps;
        }
    }
}

struct Shrinking<'tables> {
    tables: &'tables Tables,
    bounds: Bounds,
    deadline: Option<Instant>,
}

impl Shrinking<'_> {
    fn fails(&self, steps: &[Step]) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
            && matches!(search(self.tables, steps, &self.bounds).0, Found::DeadEnds(_))
    }

    /// Ends at the first moment up to which no order explains the calls. If none does up to a moment, none does up to a later
    /// one; so the moment is found by bisection.
    fn without_future(&self, steps: Vec<Step>) -> Vec<Step> {
        let mut moments = Vec::from_iter(steps.iter().filter(|step| !step.is_unknown()).map(|step| step.end));
        moments.sort_unstable();
        let first = moments.partition_point(|&moment| !self.fails(&until(&steps, moment)));
        let cut = moments.get(first).map(|&moment| until(&steps, moment));
        cut.filter(|steps| self.fails(steps)).unwrap_or(steps)
    }

    fn without_users(&self, steps: Vec<Step>) -> Vec<Step> {
        let users = (0..).take(self.tables.ids.len()).collect();
        self.without_most(steps, users, |steps, users| {
            users.iter().fold(steps.to_vec(), |steps, &user| without(&steps, user, None))
        })
    }

    fn without_idle(&self, steps: Vec<Step>) -> Vec<Step> {
        let idle = steps.iter().filter(|step| step.is_idle()).map(|step| step.call).collect();
        self.without_most(steps, idle, |steps, calls| {
            let calls: HashSet<&usize> = calls.iter().collect();
            steps.iter().filter(|step| !calls.contains(&step.call)).cloned().collect()
        })
    }

    /// Leaves out as many of the parts as it can: first large groups of them, then small ones (delta debugging).
    fn without_most<T: Clone>(
        &self,
        mut steps: Vec<Step>,
        mut parts: Vec<T>,
        leave_out: impl Fn(&[Step], &[T]) -> Vec<Step>,
    ) -> Vec<Step> {
        let mut size = parts.len();
        while size > 0 {
            let mut kept = Vec::new();
            for group in parts.chunks(size) {
                let fewer = leave_out(&steps, group);
                if fewer.len() < steps.len() && self.fails(&fewer) {
                    steps = fewer;
                } else {
                    kept.extend_from_slice(group);
                }
            }
            parts = kept;
            size /= 2;
        }
        steps
    }

    fn without_pasts(&self, mut steps: Vec<Step>) -> Vec<Step> {
        for user in (0..).take(self.tables.ids.len()) {
            let updates = steps.iter().enumerate().rev().filter(|(_, step)| updated(step) == Some(user));
            let updates = updates.map(|(at, _)| at).take(PASTS);
            let fewer = updates.map(|at| without(&steps, user, steps.get(at)));
            let found = fewer.filter(|fewer| fewer.len() < steps.len()).find(|fewer| self.fails(fewer));
            steps = found.unwrap_or(steps);
        }
        steps
    }
}

/// The user of an update that took effect.
fn updated(step: &Step) -> Option<u32> {
    match (step.action, &step.answer) {
        (Action::Update { user, .. }, Answer::User(value)) if value.user == user => Some(user),
        _ => None,
    }
}

/// What was known at a moment.
fn until(steps: &[Step], moment: u64) -> Vec<Step> {
    let started = steps.iter().filter(|step| step.start <= moment);
    let known = started.filter(|step| step.end <= moment || !step.is_idle()).cloned();
    known
        .map(|step| if step.end <= moment { step } else { Step { answer: Answer::Unknown, end: u64::MAX, ..step } })
        .collect()
}

/// The steps without a user, or without its past before an update.
fn without(steps: &[Step], user: u32, update: Option<&Step>) -> Vec<Step> {
    let past = Past { user, emails: emails_of(steps, user), update };
    steps.iter().filter_map(|step| past.left_of(step)).collect()
}

/// A user up to an update, or all of it.
struct Past<'steps> {
    user: u32,
    /// The addresses that it may have had.
    emails: HashSet<u32>,
    update: Option<&'steps Step>,
}

impl Past<'_> {
    /// What is left of a step without the past; `None` if nothing is.
    fn left_of(&self, step: &Step) -> Option<Step> {
        let Answer::User(base) = self.update.map_or(&Answer::Unknown, |update| &update.answer) else {
            return self.left_without_user(step);
        };
        let update = self.update?;
        if step.call == update.call {
            return Some(Step { action: Action::Become(*base), ..step.clone() });
        }
        // It can only have seen what the update left, or something later.
        if step.start > update.end {
            return Some(step.clone());
        }
        let stays = match (step.action, &step.answer) {
            // It may take effect after the update.
            (
                Action::Update { user, .. } | Action::Delete { user, .. } | Action::Rename { user, .. },
                Answer::Unknown,
            ) if user == self.user => true,
            (Action::Delete { user, .. }, Answer::Done) if user == self.user => true,
            // What they show has the version that the last update made.
            (Action::Get { .. } | Action::Find { .. } | Action::Rename { .. }, Answer::User(seen))
                if seen.user == self.user =>
            {
                seen.version >= base.version
            }
            (_, Answer::User(seen)) if seen.user == self.user => seen.version > base.version,
            (Action::List { .. }, Answer::Users { users, .. }) if step.end >= update.start => {
                users.iter().all(|seen| seen.user != self.user || seen.version >= base.version)
            }
            _ => return self.left_without_user(step),
        };
        stays.then(|| step.clone())
    }

    fn left_without_user(&self, step: &Step) -> Option<Step> {
        let is_about_it = match step.action {
            Action::Create { user, .. }
            | Action::Get { user }
            | Action::Update { user, .. }
            | Action::Delete { user, .. }
            | Action::Rename { user, .. } => user == self.user,
            Action::Become(value) => value.user == self.user,
            Action::Find { .. } | Action::List { .. } => false,
        };
        let is_about_its_address = match (&step.answer, step.action) {
            (Answer::User(seen), _) => seen.user == self.user,
            (
                Answer::EmailTaken,
                Action::Create { email, .. } | Action::Update { email: Some(email), .. } | Action::Find { email },
            ) => self.emails.contains(&email),
            _ => false,
        };
        if is_about_it || is_about_its_address {
            return None;
        }
        let Answer::Users { users, .. } = &step.answer else { return Some(step.clone()) };
        let others = users.iter().filter(|seen| seen.user != self.user).copied().collect();
        Some(Step { answer: Answer::users(others), ..step.clone() })
    }
}

fn emails_of(steps: &[Step], user: u32) -> HashSet<u32> {
    let given = steps.iter().filter_map(|step| match step.action {
        Action::Create { user: of, email, .. } | Action::Update { user: of, email: Some(email), .. } if of == user => {
            Some(email)
        }
        Action::Become(value) if value.user == user => Some(value.email),
        _ => None,
    });
    let seen = steps.iter().flat_map(|step| match &step.answer {
        Answer::User(value) => std::slice::from_ref(value),
        Answer::Users { users, .. } => users,
        _ => &[],
    });
    given.chain(seen.filter(|value| value.user == user).map(|value| value.email)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::partitions;
    use crate::support::dice::Dice;
    use crate::support::simulator::{Setting, simulate};

    /// Leaves something out, at random.
    fn fewer(tables: &Tables, steps: &[Step], dice: &mut Dice) -> Vec<Step> {
        let Some(one) = dice.one_of(steps) else { return Vec::new() };
        let user = u32::try_from(dice.below(tables.ids.len() as u64)).unwrap_or_default();
        match dice.below(8) {
            0 => until(steps, one.end),
            1 => without(steps, user, None),
            2..6 => {
                let updates = Vec::from_iter(steps.iter().filter(|step| updated(step).is_some()));
                let Some(update) = dice.one_of(&updates) else { return steps.to_vec() };
                without(steps, updated(update).unwrap(), Some(update))
            }
            _ => steps.iter().filter(|step| !step.is_idle() || dice.percent(70)).cloned().collect(),
        }
    }

    /// Otherwise a window would show a fault that the service does not have.
    #[test]
    fn what_is_linearizable_stays_so() {
        let (mut shrunk, mut empty) = (0, 0);
        for seed in 0..1_000 {
            let setting = Setting { emails: 2 + seed % 6, unknown: 5 * (seed % 5), ..Setting::USUAL };
            let mut dice = Dice::new(seed + 1);
            for partition in partitions(&simulate(seed, &setting).history) {
                let mut steps = partition.steps;
                for round in 0..4 {
                    steps = fewer(&partition.tables, &steps, &mut dice);
                    let (found, _) = search(&partition.tables, &steps, &Bounds::default());
                    assert!(matches!(found, Found::Linearization(_)), "seed {seed}, round {round}: {steps:#?}");
                    shrunk += 1;
                    empty += u32::from(steps.is_empty());
                }
            }
        }
        assert!(empty * 2 < shrunk, "{empty} of {shrunk}");
    }
}

//! The service as plainly as it can be written: a map of users. It shares nothing with the checker's model.

use std::collections::{BTreeMap, BTreeSet};

use user_service_checker::{Operation, Outcome, User};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Naive {
    pub users: BTreeMap<u64, User>,
    pub used: BTreeSet<u64>,
}

impl Naive {
    /// What a call is answered and does. `id` is the one that a create gives.
    pub fn execute(&mut self, operation: &Operation, id: u64) -> Outcome {
        match operation {
            Operation::Create { name, email } => {
                if self.by_email(email).is_some() {
                    return Outcome::EmailTaken;
                }
                self.used.insert(id);
                self.store(User { id, name: name.clone(), email: email.clone(), version: 1 })
            }
            Operation::Get { id } => self.users.get(id).cloned().map_or(Outcome::NotFound, Outcome::User),
            Operation::GetByEmail { email } => self.by_email(email).cloned().map_or(Outcome::None, Outcome::User),
            Operation::List { name_prefix } => {
                let users = self.users.values().filter(|user| user.name.starts_with(name_prefix.as_str()));
                Outcome::Users { users: users.cloned().collect() }
            }
            Operation::Put { id, name, email, if_match } => self.update(*id, Some(name), Some(email), *if_match),
            Operation::Patch { id, name, email, if_match } => {
                self.update(*id, name.as_ref(), email.as_ref(), *if_match)
            }
            Operation::Delete { id, if_match } => match self.users.get(id) {
                None => Outcome::NotFound,
                Some(user) if if_match.is_some_and(|version| version != user.version) => Outcome::VersionMismatch,
                Some(_) => {
                    self.users.remove(id);
                    Outcome::Done
                }
            },
            Operation::Rename { id, name } => match self.users.get(id) {
                None => Outcome::NotFound,
                Some(user) => self.store(User { name: name.clone(), ..user.clone() }),
            },
        }
    }

    fn update(&mut self, id: u64, name: Option<&String>, email: Option<&String>, if_match: Option<u64>) -> Outcome {
        let Some(user) = self.users.get(&id) else { return Outcome::NotFound };
        if if_match.is_some_and(|version| version != user.version) {
            return Outcome::VersionMismatch;
        }
        let (name, email) = (name.unwrap_or(&user.name).clone(), email.unwrap_or(&user.email).clone());
        let user = User { id, name, email, version: user.version + 1 };
        if self.by_email(&user.email).is_some_and(|other| other.id != id) {
            return Outcome::EmailTaken;
        }
        self.store(user)
    }

    fn store(&mut self, user: User) -> Outcome {
        self.users.insert(user.id, user.clone());
        Outcome::User(user)
    }

    pub fn by_email(&self, email: &str) -> Option<&User> {
        self.users.values().find(|user| user.email == email)
    }

    /// Executes a call and says whether it may be answered so.
    pub fn accepts(&mut self, operation: &Operation, outcome: &Outcome, id: u64) -> bool {
        if matches!(operation, Operation::Create { .. }) && *outcome != Outcome::EmailTaken && self.used.contains(&id) {
            return false;
        }
        // A refusal is held to its own condition, so that the order in which the service looks is not prescribed.
        if *outcome == Outcome::EmailTaken {
            return match operation {
                Operation::Create { email, .. } => self.by_email(email).is_some(),
                Operation::Put { id, email, .. } | Operation::Patch { id, email: Some(email), .. } => {
                    self.users.contains_key(id) && self.by_email(email).is_some_and(|other| other.id != *id)
                }
                _ => false,
            };
        }
        let answered = self.execute(operation, id);
        match (answered, outcome) {
            (Outcome::Users { users: mut here }, Outcome::Users { users: seen }) => {
                let mut seen = seen.clone();
                here.sort();
                seen.sort();
                here == seen
            }
            (here, seen) => here == *seen,
        }
    }
}

use user_service_checker::{Call, Operation, Outcome, User};

use crate::plan::{Deed, PLACES, Step};

/// Users and addresses that some clients share; no other group has any of them.
#[derive(Clone)]
pub struct Group {
    /// What the names of all its users begin with.
    pub prefix: String,
    /// The user in each place, as it was seen last.
    places: [Option<User>; PLACES],
    /// An address that somebody has whom no client knows: a create without an answer has taken effect.
    unknown: Option<String>,
    names: usize,
}

impl Group {
    pub fn new(number: usize) -> Self {
        Self { prefix: format!("g{number}-"), places: [const { None }; PLACES], unknown: None, names: 0 }
    }

    /// What a step comes to.
    pub fn operation(&mut self, step: &Step) -> Operation {
        if let Some(email) = self.unknown.take() {
            return Operation::GetByEmail { email };
        }
        let email = self.address(step.place, step.moves);
        let Some(User { id, version, .. }) = self.places[step.place] else {
            return Operation::Create { name: self.name(), email };
        };
        let if_match = step.if_match.then_some(version);
        match step.deed {
            Deed::Get => Operation::Get { id },
            Deed::Put => Operation::Put { id, name: self.name(), email, if_match },
            Deed::PatchName => Operation::Patch { id, name: Some(self.name()), email: None, if_match },
            Deed::PatchEmail => Operation::Patch { id, name: None, email: Some(email), if_match },
            Deed::Take => {
                let email = Some(self.address((step.place + 1) % PLACES, step.moves));
                Operation::Patch { id, name: Some(self.name()), email, if_match }
            }
            Deed::Delete => Operation::Delete { id, if_match },
        }
    }

    /// Takes note of what a call has shown.
    pub fn note(&mut self, place: usize, call: &Call) {
        match (&call.operation, &call.outcome) {
            (Operation::GetByEmail { .. }, Outcome::User(user)) => {
                let at = self.places.iter().position(|place| place.as_ref().is_some_and(|known| known.id == user.id));
                self.places[at.unwrap_or(place)] = Some(user.clone());
            }
            (_, Outcome::User(user)) => self.see(place, user),
            (Operation::Create { email, .. }, Outcome::EmailTaken) => self.unknown = Some(email.clone()),
            (operation, Outcome::Done | Outcome::NotFound) => self.forget(operation),
            _ => {}
        }
    }

    fn see(&mut self, place: usize, user: &User) {
        let known = &mut self.places[place];
        if known.as_ref().is_none_or(|known| (known.id, known.version) < (user.id, user.version)) {
            *known = Some(user.clone());
        }
    }

    fn forget(&mut self, operation: &Operation) {
        let gone = match operation {
            Operation::Get { id } | Operation::Put { id, .. } | Operation::Patch { id, .. } => *id,
            Operation::Delete { id, .. } => *id,
            _ => return,
        };
        self.places.iter_mut().filter(|place| place.as_ref().is_some_and(|user| user.id == gone)).for_each(|place| {
            *place = None;
        });
    }

    /// A name that no other write gives.
    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}{}", self.prefix, self.names)
    }

    fn address(&self, place: usize, other: bool) -> String {
        format!("{}{place}{}@example.com", self.prefix, if other { "b" } else { "a" })
    }
}

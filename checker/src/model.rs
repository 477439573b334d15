//! The sequential service: what a call may answer and does in a given state.
//!
//! Users, names, addresses and prefixes are numbers here: a partition's tables have their text.

#![expect(clippy::indexing_slicing, reason = "the numbers are those that the partition gave out, and index its tables")]

use crate::partition::{Step, Tables};

/// All users of a partition at a moment.
pub(crate) struct State<'tables> {
    tables: &'tables Tables,
    users: Vec<Slot>,
    owners: Vec<Option<u32>>,
    /// The sum of the fingerprints of each prefix's users: a list is compared in a step, however long it is.
    lists: Vec<u128>,
    fingerprint: u128,
}

/// A user at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Unborn,
    Alive(Value),
    Gone,
}

/// A user as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) user: u32,
    pub(crate) name: u32,
    pub(crate) email: u32,
    pub(crate) version: u64,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create {
        user: u32,
        name: u32,
        email: u32,
    },
    Get {
        user: u32,
    },
    Find {
        email: u32,
    },
    List {
        prefix: u32,
    },
    Update {
        user: u32,
        name: Option<u32>,
        email: Option<u32>,
        if_match: Option<u64>,
    },
    Delete {
        user: u32,
        if_match: Option<u64>,
    },
    Rename {
        user: u32,
        name: u32,
    },
    /// An update whose past was left out to make a window small: it leaves the user as it answered, whatever was before.
    Become(Value),
}

/// What a call was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    User(Value),
    Users { users: Vec<Value>, fingerprint: u128 },
    Nobody,
    Done,
    NotFound,
    EmailTaken,
    VersionMismatch,
    Unknown,
}

/// The change that a call makes: a user, and what becomes of it. `None` if it changes nothing.
pub(crate) type Effect = Option<(u32, Slot)>;

/// What contradicts an answer in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// The user stands so.
    Is(u32, Slot),
    /// The address belongs to that user.
    Owned(u32, Value),
    /// The address belongs to nobody, or to the user itself.
    Free(u32),
    /// The prefix has other users.
    Lists(u32),
    /// The write would leave this instead.
    Leaves(Slot),
    /// No state gives such an answer to such a call.
    Never,
}

impl<'tables> State<'tables> {
    /// The state without any user.
    pub(crate) fn new(tables: &'tables Tables) -> Self {
        State {
            tables,
            users: vec![Slot::Unborn; tables.ids.len()],
            owners: vec![None; tables.emails.len()],
            lists: vec![0; tables.prefixes.len()],
            fingerprint: 0,
        }
    }

    /// What the call does here, or why it does not get this answer here.
    ///
    /// Each refusal is held to its own condition only: if two conditions hold, the service may name either.
    pub(crate) fn judge(&self, action: Action, answer: &Answer) -> Result<Effect, Contradiction> {
        use Action::{Create, Delete, Find, Get, List, Rename, Update};
        match (action, answer) {
            (_, Answer::Unknown) => Ok(self.effect(action).ok()),
            (Get { user }, Answer::User(seen)) => holds(self.alive(user)? == *seen, || self.is(user)),
            (Get { user } | Update { user, .. } | Delete { user, .. } | Rename { user, .. }, Answer::NotFound) => {
                holds(self.alive(user).is_err(), || self.is(user))
            }
            (Find { email }, Answer::User(seen)) => match self.owner(email) {
                None => Err(Contradiction::Free(email)),
                Some(value) => holds(value == *seen, || Contradiction::Owned(email, value)),
            },
            (Find { email }, Answer::Nobody) => self.free(email, None).map(|()| None),
            (List { prefix }, Answer::Users { fingerprint, .. }) => {
                holds(self.lists[prefix as usize] == *fingerprint, || Contradiction::Lists(prefix))
            }
            (
                Update { user, if_match: Some(version), .. } | Delete { user, if_match: Some(version) },
                Answer::VersionMismatch,
            ) => holds(self.alive(user)?.version != version, || self.is(user)),
            (Create { email, .. }, Answer::EmailTaken) => {
                holds(self.owner(email).is_some(), || Contradiction::Free(email))
            }
            (Update { user, email: Some(email), .. }, Answer::EmailTaken) => {
                self.alive(user)?;
                holds(self.owner(email).is_some_and(|owner| owner.user != user), || Contradiction::Free(email))
            }
            (Create { .. } | Update { .. } | Rename { .. } | Action::Become(_), Answer::User(seen)) => {
                let (user, slot) = self.effect(action)?;
                holds(slot == Slot::Alive(*seen), || Contradiction::Leaves(slot)).map(|_| Some((user, slot)))
            }
            (Delete { .. }, Answer::Done) => self.effect(action).map(Some),
            _ => Err(Contradiction::Never),
        }
    }

    /// Whether the answer tells of what is over for good: of an older version, or of a user that is gone.
    pub(crate) fn is_past(&self, step: &Step) -> bool {
        let is_gone = |user: u32| self.users[user as usize] == Slot::Gone;
        let is_older = |seen: &Value, least: u64| match self.users[seen.user as usize] {
            Slot::Unborn => false,
            Slot::Alive(value) => value.version >= seen.version.saturating_add(least),
            Slot::Gone => true,
        };
        match (step.action, &step.answer) {
            (Action::Become(_), _) => false,
            // A rename leaves the version as it was.
            (Action::Get { .. } | Action::Find { .. } | Action::Rename { .. }, Answer::User(seen)) => is_older(seen, 1),
            (_, Answer::User(seen)) => is_older(seen, 0),
            (_, Answer::Users { users, .. }) => users.iter().any(|seen| is_older(seen, 1)),
            (
                Action::Update { user, .. } | Action::Delete { user, .. },
                Answer::Done | Answer::EmailTaken | Answer::VersionMismatch,
            ) => is_gone(user),
            _ => false,
        }
    }

    /// What a write does here, or what stands in its way.
    fn effect(&self, action: Action) -> Result<(u32, Slot), Contradiction> {
        match action {
            Action::Create { user, name, email } => {
                holds(self.users[user as usize] == Slot::Unborn, || self.is(user))?;
                self.free(email, None)?;
                Ok((user, Slot::Alive(Value { user, name, email, version: 1 })))
            }
            Action::Update { user, name, email, if_match } => {
                let old = self.matching(user, if_match)?;
                let (name, email) = (name.unwrap_or(old.name), email.unwrap_or(old.email));
                self.free(email, Some(user))?;
                Ok((user, Slot::Alive(Value { user, name, email, version: old.version.saturating_add(1) })))
            }
            Action::Delete { user, if_match } => self.matching(user, if_match).map(|_| (user, Slot::Gone)),
            Action::Rename { user, name } => Ok((user, Slot::Alive(Value { name, ..self.alive(user)? }))),
            Action::Become(value) => {
                self.free(value.email, Some(value.user))?;
                Ok((value.user, Slot::Alive(value)))
            }
            Action::Get { .. } | Action::Find { .. } | Action::List { .. } => Err(Contradiction::Never),
        }
    }

    /// Makes the user so, and gives back what it was: to make it so again is to undo it.
    pub(crate) fn set(&mut self, user: u32, slot: Slot) -> Slot {
        let old = std::mem::replace(&mut self.users[user as usize], slot);
        self.count(user, old, u128::wrapping_sub, None);
        self.count(user, slot, u128::wrapping_add, Some(user));
        old
    }

    /// Puts the slot into the sums, or takes it out of them.
    fn count(&mut self, user: u32, slot: Slot, change: fn(u128, u128) -> u128, owner: Option<u32>) {
        if let Slot::Alive(value) = slot {
            self.owners[value.email as usize] = owner;
            for &prefix in &self.tables.prefixes_of_names[value.name as usize] {
                let list = &mut self.lists[prefix as usize];
                *list = change(*list, value.fingerprint());
            }
        }
        self.fingerprint = change(self.fingerprint, slot.fingerprint(user));
    }

    /// Stands for the state: equal states have equal fingerprints.
    pub(crate) fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// The users whose names have the prefix.
    pub(crate) fn list(&self, prefix: u32) -> Vec<Value> {
        let alive =
            self.users.iter().filter_map(|slot| if let Slot::Alive(value) = slot { Some(*value) } else { None });
        alive.filter(|value| self.tables.prefixes_of_names[value.name as usize].contains(&prefix)).collect()
    }

    /// How a user stands.
    pub(crate) fn slot(&self, user: u32) -> Slot {
        self.users[user as usize]
    }

    fn is(&self, user: u32) -> Contradiction {
        Contradiction::Is(user, self.users[user as usize])
    }

    fn alive(&self, user: u32) -> Result<Value, Contradiction> {
        if let Slot::Alive(value) = self.users[user as usize] { Ok(value) } else { Err(self.is(user)) }
    }

    fn matching(&self, user: u32, if_match: Option<u64>) -> Result<Value, Contradiction> {
        let value = self.alive(user)?;
        if if_match.is_none_or(|version| version == value.version) { Ok(value) } else { Err(self.is(user)) }
    }

    fn owner(&self, email: u32) -> Option<Value> {
        self.owners[email as usize].and_then(|user| self.alive(user).ok())
    }

    /// Whether nobody has the address, or only that user.
    fn free(&self, email: u32, but: Option<u32>) -> Result<(), Contradiction> {
        match self.owner(email) {
            Some(owner) if Some(owner.user) != but => Err(Contradiction::Owned(email, owner)),
            _ => Ok(()),
        }
    }
}

fn holds(condition: bool, otherwise: impl FnOnce() -> Contradiction) -> Result<Effect, Contradiction> {
    if condition { Ok(None) } else { Err(otherwise()) }
}

impl Value {
    pub(crate) fn fingerprint(self) -> u128 {
        fingerprint(&[self.user.into(), self.name.into(), self.email.into(), self.version])
    }
}

impl Slot {
    fn fingerprint(self, user: u32) -> u128 {
        match self {
            Slot::Unborn => 0,
            Slot::Alive(value) => value.fingerprint(),
            Slot::Gone => fingerprint(&[user.into()]),
        }
    }
}

/// 128 bits that stand for the parts. That any two of a billion different things get the same has a probability of 10⁻²¹.
pub(crate) fn fingerprint(parts: &[u64]) -> u128 {
    let half = |seed: u64| parts.iter().fold(seed, |hash, part| mix(hash ^ part));
    let (high, low) = (half(0x243F_6A88_85A3_08D3), half(0x1319_8A2E_0370_7344));
    u128::from(high) << 64 | u128::from(low)
}

/// The finalizer of `SplitMix64`.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

//! Concurrent clients of a service, with or without a fault. Everything follows from a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use user_service_checker::events::{Change, Channel, Reader};
use user_service_checker::{Call, Event, History, Operation, Outcome, Protocol, User};

use super::dice::Dice;
use super::naive::Naive;

#[derive(Clone, Debug)]
pub struct Setting {
    pub clients: u32,
    pub calls: usize,
    /// How many ids clients choose from, so that they meet.
    pub users: usize,
    pub emails: u64,
    /// Names begin with one of so many prefixes.
    pub groups: u64,
    /// How many writes end with an unknown outcome, in percent.
    pub unknown: u64,
    pub fault: Option<Fault>,
}

impl Setting {
    pub const SMALL: Setting =
        Setting { clients: 3, calls: 8, users: 2, emails: 2, groups: 1, unknown: 15, fault: None };
    pub const USUAL: Setting =
        Setting { clients: 5, calls: 60, users: 4, emails: 6, groups: 2, unknown: 8, fault: None };
    pub const LARGE: Setting =
        Setting { clients: 12, calls: 2_000, users: 30, emails: 40, groups: 1, unknown: 1, fault: None };
}

/// What a faulty service does, now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write is acknowledged and takes no effect.
    LosesWrites,
    /// A read is answered from an old snapshot.
    ReadsStale,
    /// A write is refused and takes effect.
    AppliesRefused,
    /// `if_match` is not looked at.
    IgnoresIfMatch,
    /// Two users may have one address.
    IgnoresAddresses,
    /// A version is left out.
    SkipsVersions,
    /// A list is made of two snapshots.
    TearsLists,
    /// The id of a deleted user is given again.
    ReusesIds,
}

pub const FAULTS: [Fault; 8] = [
    Fault::LosesWrites,
    Fault::ReadsStale,
    Fault::AppliesRefused,
    Fault::IgnoresIfMatch,
    Fault::IgnoresAddresses,
    Fault::SkipsVersions,
    Fault::TearsLists,
    Fault::ReusesIds,
];

pub struct Simulated {
    pub history: History,
    /// What a reader was told: each change, in its order.
    pub reader: Reader,
    /// How often the fault has happened.
    pub faults: usize,
}

pub fn simulate(seed: u64, setting: &Setting) -> Simulated {
    let mut simulator = Simulator {
        dice: Dice::new(seed),
        setting: setting.clone(),
        service: Naive::default(),
        snapshots: Vec::new(),
        versions: BTreeMap::new(),
        pending: BinaryHeap::new(),
        calls: Vec::new(),
        lost: Vec::new(),
        events: Vec::new(),
        faults: 0,
        now: 0,
        ids: 0,
        invoked: 0,
    };
    simulator.run();
    let Simulator { calls, events, faults, .. } = simulator;
    let reader = Reader { name: "sse".into(), channel: Channel::Sse, events };
    Simulated { history: History { calls }, reader, faults }
}

struct Simulator {
    dice: Dice,
    setting: Setting,
    service: Naive,
    /// The service before each of its last changes.
    snapshots: Vec<Naive>,
    /// What clients believe the versions of users to be.
    versions: BTreeMap<u64, u64>,
    pending: BinaryHeap<Reverse<(u64, usize, Moment)>>,
    calls: Vec<Call>,
    /// Whether the answer of each call is lost.
    lost: Vec<bool>,
    events: Vec<Event>,
    faults: usize,
    now: u64,
    ids: u64,
    invoked: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Effect,
    Return,
}

impl Simulator {
    fn run(&mut self) {
        for client in 0..self.setting.clients {
            self.invoke(client);
        }
        while let Some(Reverse((time, at, moment))) = self.pending.pop() {
            self.now = time;
            match moment {
                Moment::Effect => self.effect(at),
                Moment::Return => self.invoke(self.calls[at].client),
            }
        }
    }

    fn invoke(&mut self, client: u32) {
        if self.invoked == self.setting.calls {
            return;
        }
        self.invoked += 1;
        let start = self.now + self.dice.below(4);
        let effect = start + self.dice.below(10);
        let end = effect + self.dice.below(10);
        let operation = self.operation();
        let at = self.calls.len();
        let is_lost = self.dice.percent(self.setting.unknown);
        let is_refused = !is_lost && self.dice.percent(4);
        let outcome = if is_refused { Outcome::Refused } else { Outcome::Unknown };
        let protocol = if self.dice.percent(50) { Protocol::Rest } else { Protocol::Grpc };
        self.calls.push(Call { client, protocol, operation, start, end: Some(end), outcome });
        self.pending.push(Reverse((end, at, Moment::Return)));
        self.lost.push(is_lost);
        let strikes = self.strikes(Fault::AppliesRefused);
        if is_lost {
            self.calls[at].end = self.dice.percent(50).then_some(end);
            // Now, later, much later, or never.
            let delay =
                [0, self.dice.below(100), self.dice.below(100_000)][usize::try_from(self.dice.below(3)).unwrap()];
            if self.dice.percent(70) {
                self.pending.push(Reverse((effect + delay, at, Moment::Effect)));
            }
        } else if !is_refused || strikes {
            self.pending.push(Reverse((effect, at, Moment::Effect)));
        }
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        self.setting.fault == Some(fault) && self.dice.percent(30)
    }

    fn operation(&mut self) -> Operation {
        let name = format!(
            "{}-{}",
            (b'a' + u8::try_from(self.dice.below(self.setting.groups)).unwrap()) as char,
            self.invoked
        );
        let email = format!("{}@x.io", self.dice.below(self.setting.emails));
        // Clients know an id from an answer. The newest ones are chosen, so that clients meet.
        let known = Vec::from_iter(self.versions.keys().rev().take(self.setting.users).copied());
        let Some(&id) = self.dice.one_of(&known) else { return Operation::Create { name, email } };
        let if_match = self.dice.percent(40).then(|| self.versions.get(&id).copied().unwrap_or(1));
        let some = |is: bool, value: String| is.then_some(value);
        match self.dice.below(100) {
            0..20 => Operation::Create { name, email },
            20..40 => Operation::Get { id },
            40..50 => Operation::GetByEmail { email },
            50..60 => Operation::List { name_prefix: format!("{}-", &name[..1]) },
            60..63 => Operation::Rename { id, name },
            63..75 => Operation::Put { id, name, email, if_match },
            75..92 => {
                let (renames, moves) = (self.dice.percent(80), self.dice.percent(40));
                Operation::Patch { id, name: some(renames, name), email: some(moves, email), if_match }
            }
            _ => Operation::Delete { id, if_match },
        }
    }

    fn effect(&mut self, at: usize) {
        let operation = self.calls[at].operation.clone();
        let was = self.calls[at].outcome.clone();
        let before = self.service.clone();
        let outcome = self.execute(&operation);
        self.tell(&before);
        self.snapshots.push(before);
        if self.snapshots.len() > 8 {
            self.snapshots.remove(0);
        }
        if !self.lost[at] && was != Outcome::Refused {
            let users = match &outcome {
                Outcome::User(user) => std::slice::from_ref(user),
                Outcome::Users { users } => users,
                _ => &[],
            };
            self.versions.extend(users.iter().map(|user| (user.id, user.version)));
            self.calls[at].outcome = outcome;
        } else if was == Outcome::Refused && self.service != self.snapshots[self.snapshots.len() - 1] {
            self.faults += 1;
        }
    }

    fn execute(&mut self, operation: &Operation) -> Outcome {
        let mut operation = operation.clone();
        let before = self.service.clone();
        if operation.is_read() {
            let honest = self.service.execute(&operation, 0);
            let outcome = self.read(&operation, honest.clone());
            self.faults += usize::from(outcome != honest);
            return outcome;
        }
        let id = self.id_of(&operation);
        let honest = before.clone().execute(&operation, id);
        if self.strikes(Fault::IgnoresIfMatch)
            && let Operation::Put { if_match, .. }
            | Operation::Patch { if_match, .. }
            | Operation::Delete { if_match, .. } = &mut operation
        {
            *if_match = None;
        }
        let mut outcome = self.service.execute(&operation, id);
        if outcome == Outcome::EmailTaken && self.strikes(Fault::IgnoresAddresses) {
            outcome = self.force(&operation, id);
        }
        self.ids = self.service.used.last().copied().unwrap_or_default();
        if self.service != before {
            if self.strikes(Fault::LosesWrites) {
                self.service = before.clone();
                self.faults += 1;
            } else if let (true, Outcome::User(user)) = (self.strikes(Fault::SkipsVersions), &mut outcome) {
                user.version += 1;
                self.service.users.insert(user.id, user.clone());
                self.faults += 1;
            }
        }
        let is_reused = before.used.contains(&id) && self.service != before;
        self.faults += usize::from(outcome != honest || is_reused);
        outcome
    }

    fn force(&mut self, operation: &Operation, id: u64) -> Outcome {
        let Some(email) = operation_email(operation) else { return Outcome::EmailTaken };
        let owner = self.service.by_email(email).unwrap().clone();
        self.service.users.remove(&owner.id);
        let outcome = self.service.execute(operation, id);
        self.service.users.insert(owner.id, owner);
        outcome
    }

    /// The id that a create gives, if it goes well.
    fn id_of(&mut self, operation: &Operation) -> u64 {
        if !matches!(operation, Operation::Create { .. }) {
            return 0;
        }
        if self.strikes(Fault::ReusesIds)
            && let Some(id) = self.service.used.iter().find(|id| !self.service.users.contains_key(id))
        {
            return *id;
        }
        self.ids + 1
    }

    fn read(&mut self, operation: &Operation, honest: Outcome) -> Outcome {
        let is_stale = self.strikes(Fault::ReadsStale);
        let is_torn = self.strikes(Fault::TearsLists);
        let Some(old) = self.snapshots.first().map(|old| old.clone().execute(operation, 0)) else { return honest };
        match (honest, old) {
            (_, old) if is_stale => old,
            (Outcome::Users { users }, Outcome::Users { users: old }) if is_torn => {
                let middle = self.ids.saturating_sub(1);
                let early = old.into_iter().filter(|user| user.id <= middle);
                let late = users.into_iter().filter(|user| user.id > middle);
                Outcome::Users { users: early.chain(late).collect() }
            }
            (honest, _) => honest,
        }
    }

    /// Tells of the difference that a call has made.
    fn tell(&mut self, before: &Naive) {
        let mut changes = Vec::new();
        for (id, user) in &self.service.users {
            match before.users.get(id) {
                None => changes.push((Change::Created, user.clone())),
                // A rename has no event.
                Some(old) if old.version != user.version => changes.push((Change::Updated, user.clone())),
                Some(_) => {}
            }
        }
        for (id, user) in &before.users {
            if !self.service.users.contains_key(id) {
                changes.push((Change::Deleted, User { version: user.version + 1, ..user.clone() }));
            }
        }
        for (change, user) in changes {
            let position = self.events.len() as u64 + 1;
            let shown = |text: String| (change != Change::Deleted).then_some(text);
            self.events.push(Event {
                position,
                event_id: format!("event-{position}"),
                change,
                id: user.id,
                version: user.version,
                name: shown(user.name),
                email: shown(user.email),
                time: self.now + 1,
            });
        }
    }
}

fn operation_email(operation: &Operation) -> Option<&String> {
    match operation {
        Operation::Create { email, .. } | Operation::Put { email, .. } => Some(email),
        Operation::Patch { email, .. } => email.as_ref(),
        _ => None,
    }
}

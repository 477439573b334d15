//! Partitions: the calls that must be judged together, and no others.
//!
//! Linearizability is local: a history is linearizable exactly if each partition is that shares no user and no address with
//! another one. A list ties the users together whose names have its prefix.

use std::collections::HashMap;

use crate::history::{Call, History, Operation, Outcome, User};
use crate::model::{Action, Answer, Value, fingerprint};

/// Calls that are tied together by users, addresses and lists; no call outside is tied to them.
pub(crate) struct Partition {
    pub(crate) steps: Vec<Step>,
    pub(crate) tables: Tables,
}

/// A call in the numbers of its partition.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The call's place in the history.
    pub(crate) call: usize,
    pub(crate) action: Action,
    pub(crate) answer: Answer,
    pub(crate) start: u64,
    /// `u64::MAX` for an unknown outcome: the call may take effect at any later moment.
    pub(crate) end: u64,
}

/// What the numbers of a partition stand for.
#[derive(Default)]
pub(crate) struct Tables {
    /// `None` for the user of an unknown create whom nobody has seen.
    pub(crate) ids: Vec<Option<u64>>,
    pub(crate) names: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) prefixes_of_names: Vec<Vec<u32>>,
}

/// Splits a history. Calls that say nothing are in no partition: they would only tie partitions together.
pub(crate) fn partitions(history: &History) -> Vec<Partition> {
    let ids = ids_by_name(history);
    let mut ties = Ties::new(history);
    let calls = || history.calls.iter().enumerate().filter(|(_, call)| !call.is_mute());
    for (at, call) in calls() {
        ties.tie(at, call, &ids);
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut group_of = HashMap::new();
    for (at, _) in calls() {
        let group = *group_of.entry(ties.find(at)).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        if let Some(group) = groups.get_mut(group) {
            group.push(at);
        }
    }
    groups.iter().map(|calls| Partition::new(history, calls, &ids, &ties.prefixes)).collect()
}

/// Which user a name was seen with. Names are unique, so it is the user of the write that gave the name.
fn ids_by_name(history: &History) -> HashMap<&str, u64> {
    let seen = history.calls.iter().flat_map(Call::seen);
    seen.map(|user| (user.name.as_str(), user.id)).collect()
}

impl Step {
    /// Whether it is a write that may take effect or not.
    pub(crate) fn is_unknown(&self) -> bool {
        self.answer == Answer::Unknown
    }

    /// Whether it is sure to leave every user as it was.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_unknown() && (self.is_read() || !matches!(self.answer, Answer::User(_) | Answer::Done))
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self.action, Action::Get { .. } | Action::Find { .. } | Action::List { .. })
    }
}

/// Sets of calls, joined by what they have in common (union-find).
struct Ties<'history> {
    parents: Vec<usize>,
    /// The node of each user, address and prefix; calls are the nodes before them.
    nodes: HashMap<Tie<'history>, usize>,
    prefixes: Vec<&'history str>,
}

#[derive(PartialEq, Eq, Hash)]
enum Tie<'history> {
    User(u64),
    Email(&'history str),
    Prefix(&'history str),
}

impl<'history> Ties<'history> {
    fn new(history: &'history History) -> Self {
        let mut prefixes = Vec::from_iter(history.calls.iter().filter(|call| !call.is_mute()).filter_map(prefix));
        prefixes.sort_unstable();
        prefixes.dedup();
        Ties { parents: (0..history.calls.len()).collect(), nodes: HashMap::new(), prefixes }
    }

    fn tie(&mut self, at: usize, call: &'history Call, ids: &HashMap<&str, u64>) {
        let operation = &call.operation;
        let created = operation.name().and_then(|name| ids.get(name)).copied();
        let users = operation.id().into_iter().chain(created).chain(call.seen().iter().map(|user| user.id));
        let emails = operation.email().into_iter().chain(call.seen().iter().map(|user| user.email.as_str()));
        let names = operation.name().into_iter().chain(call.seen().iter().map(|user| user.name.as_str()));
        let mut ties = Vec::from_iter(users.map(Tie::User).chain(emails.map(Tie::Email)));
        ties.extend(prefix(call).map(Tie::Prefix));
        for name in names {
            ties.extend(self.prefixes.iter().filter(|prefix| name.starts_with(**prefix)).map(|at| Tie::Prefix(at)));
        }
        for tie in ties {
            let next = self.parents.len();
            let node = *self.nodes.entry(tie).or_insert(next);
            if node == next {
                self.parents.push(next);
            }
            let (one, other) = (self.find(at), self.find(node));
            self.set_parent(one, other);
        }
    }

    fn find(&mut self, mut node: usize) -> usize {
        while let Some(&parent) = self.parents.get(node).filter(|parent| **parent != node) {
            let grandparent = self.parents.get(parent).copied().unwrap_or(parent);
            self.set_parent(node, grandparent);
            node = grandparent;
        }
        node
    }

    fn set_parent(&mut self, node: usize, parent: usize) {
        if let Some(place) = self.parents.get_mut(node) {
            *place = parent;
        }
    }
}

fn prefix(call: &Call) -> Option<&str> {
    if let Operation::List { name_prefix } = &call.operation { Some(name_prefix) } else { None }
}

impl Partition {
    fn new(history: &History, calls: &[usize], ids: &HashMap<&str, u64>, prefixes: &[&str]) -> Self {
        let mut numbers = Numbers::new(ids, prefixes);
        let calls = calls.iter().filter_map(|&at| history.calls.get(at).map(|call| (at, call)));
        let mut steps = Vec::from_iter(calls.map(|(at, call)| numbers.step(at, call)));
        steps.sort_by_key(|step| (step.start, step.end));
        Partition { steps, tables: numbers.tables() }
    }
}

/// Gives numbers to users, names, addresses and prefixes.
struct Numbers<'history> {
    ids_by_name: &'history HashMap<&'history str, u64>,
    all_prefixes: &'history [&'history str],
    ids: Vec<Option<u64>>,
    users: HashMap<u64, u32>,
    names: Texts,
    emails: Texts,
    prefixes: Texts,
}

#[derive(Default)]
struct Texts {
    all: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = count(&self.all);
        self.all.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

fn count<T>(all: &[T]) -> u32 {
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}

impl<'history> Numbers<'history> {
    fn new(ids_by_name: &'history HashMap<&str, u64>, all_prefixes: &'history [&str]) -> Self {
        let (names, emails, prefixes) = (Texts::default(), Texts::default(), Texts::default());
        Numbers { ids_by_name, all_prefixes, ids: Vec::new(), users: HashMap::new(), names, emails, prefixes }
    }

    fn step(&mut self, at: usize, call: &Call) -> Step {
        let end = call.end.filter(|_| call.outcome != Outcome::Unknown).unwrap_or(u64::MAX);
        let (action, answer) = (self.action(call), self.answer(&call.outcome));
        Step { call: at, action, answer, start: call.start, end }
    }

    fn action(&mut self, call: &Call) -> Action {
        match &call.operation {
            Operation::Create { name, email } => {
                let answered = if let Outcome::User(user) = &call.outcome { Some(user.id) } else { None };
                let user = self.created(answered.or_else(|| self.ids_by_name.get(name.as_str()).copied()));
                Action::Create { user, name: self.name(name), email: self.emails.number(email) }
            }
            Operation::Get { id } => Action::Get { user: self.user(*id) },
            Operation::GetByEmail { email } => Action::Find { email: self.emails.number(email) },
            Operation::List { name_prefix } => Action::List { prefix: self.prefixes.number(name_prefix) },
            Operation::Put { id, .. } | Operation::Patch { id, .. } => Action::Update {
                user: self.user(*id),
                name: call.operation.name().map(|name| self.name(name)),
                email: call.operation.email().map(|email| self.emails.number(email)),
                if_match: call.operation.if_match(),
            },
            Operation::Delete { id, if_match } => Action::Delete { user: self.user(*id), if_match: *if_match },
            Operation::Rename { id, name } => Action::Rename { user: self.user(*id), name: self.name(name) },
        }
    }

    fn answer(&mut self, outcome: &Outcome) -> Answer {
        match outcome {
            Outcome::User(user) => Answer::User(self.value(user)),
            Outcome::Users { users } => Answer::users(users.iter().map(|user| self.value(user)).collect()),
            Outcome::None => Answer::Nobody,
            Outcome::Done => Answer::Done,
            Outcome::NotFound => Answer::NotFound,
            Outcome::EmailTaken => Answer::EmailTaken,
            Outcome::VersionMismatch => Answer::VersionMismatch,
            // Calls that were refused are in no partition.
            Outcome::Unknown | Outcome::Invalid | Outcome::Refused => Answer::Unknown,
        }
    }

    /// The name that a write gives. Names that nobody has seen are one, or one for each prefix: then writes that differ in
    /// nothing else are the same write twice, and the search tries one of them only.
    fn name(&mut self, name: &str) -> u32 {
        if self.ids_by_name.contains_key(name) {
            return self.names.number(name);
        }
        let prefixes = self.all_prefixes.iter().filter(|prefix| name.starts_with(**prefix));
        let longest = prefixes.max_by_key(|prefix| prefix.len()).copied().unwrap_or_default();
        self.names.number(&format!("{longest}…"))
    }

    fn value(&mut self, user: &User) -> Value {
        let (name, email) = (self.names.number(&user.name), self.emails.number(&user.email));
        Value { user: self.user(user.id), name, email, version: user.version }
    }

    fn user(&mut self, id: u64) -> u32 {
        *self.users.entry(id).or_insert_with(|| {
            self.ids.push(Some(id));
            count(&self.ids).saturating_sub(1)
        })
    }

    /// The user of a create: the one that is known, or one that nobody has seen.
    fn created(&mut self, id: Option<u64>) -> u32 {
        if let Some(id) = id {
            return self.user(id);
        }
        self.ids.push(None);
        count(&self.ids).saturating_sub(1)
    }

    fn tables(self) -> Tables {
        let prefixes_of = |name: &String| {
            let prefixes = (0..).zip(&self.prefixes.all).filter(|(_, prefix)| name.starts_with(prefix.as_str()));
            prefixes.map(|(number, _)| number).collect()
        };
        let prefixes_of_names = self.names.all.iter().map(prefixes_of).collect();
        Tables {
            ids: self.ids,
            names: self.names.all,
            emails: self.emails.all,
            prefixes: self.prefixes.all,
            prefixes_of_names,
        }
    }
}

impl Answer {
    /// What a list answers. A list with a user twice, or with one that it must not have, equals no state's.
    pub(crate) fn users(users: Vec<Value>) -> Self {
        let fingerprint = users.iter().fold(0, |sum: u128, value| sum.wrapping_add(value.fingerprint()));
        Answer::Users { users, fingerprint }
    }
}

/// Stands for a step in the set of those that are linearized.
pub(crate) fn mark(step: usize) -> u128 {
    fingerprint(&[step as u64, u64::MAX])
}

//! The window of a fault: the few calls that no order explains, and what each order contradicts.

use std::collections::BTreeSet;

use crate::check::Bounds;
use crate::history::History;
use crate::model::{Action, Answer, Contradiction, Slot, State, Value};
use crate::partition::{Step, Tables};
use crate::wgl::{Found, search};

/// The few calls that no order explains.
#[derive(Clone, Debug)]
pub struct Window {
    /// The calls, in the order of their starts.
    pub calls: Vec<WindowCall>,
    /// The orders that go farthest, each with what it contradicts; the longest first.
    pub dead_ends: Vec<DeadEnd>,
    /// The answered call that the longest order cannot explain in time: it ends first.
    pub culprit: Option<usize>,
}

/// A call of a window.
#[derive(Clone, Debug)]
pub struct WindowCall {
    /// Its place in the history.
    pub call: usize,
    /// What it has to do with the fault.
    pub part: Part,
    /// What is left of its outcome in the window: a list is shown without the users that do not matter.
    pub answer: Option<String>,
}

/// What a call has to do with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its answer is taken as given, and what led to it is left out: the fault does not need it.
    Given,
    /// Some order explains it.
    Explained,
    /// Some longest order stops before it, because its answer contradicts the state there.
    Contradicted,
    /// It may take effect at any later moment or never; neither helps.
    Unknown,
}

/// An order of calls that cannot be continued.
#[derive(Clone, Debug)]
pub struct DeadEnd {
    /// The calls, as places in the history, in the order in which they would have taken effect.
    pub order: Vec<usize>,
    /// Each call that would have to be next, and what its answer contradicts.
    pub contradictions: Vec<(usize, String)>,
}

impl Window {
    /// The window of steps that no order explains.
    pub(crate) fn new(history: &History, tables: &Tables, steps: &[Step], bounds: &Bounds) -> Self {
        let orders = if let (Found::DeadEnds(orders), _) = search(tables, steps, bounds) { orders } else { Vec::new() };
        let dead_ends = Vec::from_iter(orders.iter().map(|order| Replay { history, tables, steps }.dead_end(order)));
        let longest = dead_ends.first();
        let deepest = longest.map_or(0, |longest| longest.order.len());
        let contradicted: BTreeSet<usize> = dead_ends
            .iter()
            .filter(|dead_end| dead_end.order.len() == deepest)
            .flat_map(|dead_end| dead_end.contradictions.iter().map(|(call, _)| *call))
            .collect();
        let end = |at: &usize| steps.iter().find(|step| step.call == *at).map_or(u64::MAX, |step| step.end);
        let culprit = longest.and_then(|longest| longest.contradictions.iter().map(|(at, _)| *at).min_by_key(end));
        let part = |step: &Step| match step.action {
            _ if contradicted.contains(&step.call) => Part::Contradicted,
            _ if step.is_unknown() => Part::Unknown,
            Action::Become(_) => Part::Given,
            _ => Part::Explained,
        };
        let calls = steps.iter().map(|step| WindowCall {
            call: step.call,
            part: part(step),
            answer: list(tables, step).or_else(|| cut_off(history, step)),
        });
        Window { calls: calls.collect(), dead_ends, culprit }
    }
}

fn list(tables: &Tables, step: &Step) -> Option<String> {
    if let Answer::Users { users, .. } = &step.answer { Some(tables.users(users)) } else { None }
}

/// A write that was answered after the window: in the window it may take effect or not.
fn cut_off(history: &History, step: &Step) -> Option<String> {
    let call = history.calls.get(step.call)?;
    let answered = call.outcome != crate::history::Outcome::Unknown;
    (step.is_unknown() && answered).then(|| format!("{} after this window", call.outcome))
}

struct Replay<'fault> {
    history: &'fault History,
    tables: &'fault Tables,
    steps: &'fault [Step],
}

impl Replay<'_> {
    /// Goes through an order again, and asks what stands in the way of each call that could be next.
    fn dead_end(&self, order: &[usize]) -> DeadEnd {
        let mut state = State::new(self.tables);
        for step in order.iter().filter_map(|&at| self.steps.get(at)) {
            if let Ok(Some((user, slot))) = state.judge(step.action, &step.answer) {
                state.set(user, slot);
            }
        }
        let left = (0..).zip(self.steps).filter(|(at, step)| !step.is_unknown() && !order.contains(at));
        let left = Vec::from_iter(left.map(|(_, step)| step));
        let first_response = left.iter().map(|step| step.end).min().unwrap_or(u64::MAX);
        let candidates = left.iter().filter(|step| step.start <= first_response);
        let contradictions = candidates.filter_map(|step| {
            let contradiction = state.judge(step.action, &step.answer).err()?;
            Some((step.call, self.say(contradiction, &state, step)))
        });
        let contradictions = contradictions.collect();
        DeadEnd {
            order: order.iter().filter_map(|&at| self.steps.get(at)).map(|step| step.call).collect(),
            contradictions,
        }
    }

    fn say(&self, contradiction: Contradiction, state: &State<'_>, step: &Step) -> String {
        let tables = self.tables;
        match contradiction {
            Contradiction::Is(user, slot) => tables.slot(user, slot),
            Contradiction::Owned(email, owner) => format!("{} belongs to {}", tables.email(email), tables.value(owner)),
            Contradiction::Free(email) => format!("nobody else has {}", tables.email(email)),
            Contradiction::Lists(prefix) => self.difference(&state.list(prefix), state, step),
            Contradiction::Leaves(Slot::Alive(value)) => format!("the write would leave {}", tables.value(value)),
            Contradiction::Leaves(Slot::Unborn | Slot::Gone) => "the write would leave no user".to_owned(),
            Contradiction::Never => {
                let operation = self.history.calls.get(step.call).map(|call| call.operation.to_string());
                format!("no state answers so to {}", operation.unwrap_or_default())
            }
        }
    }
}

impl Replay<'_> {
    /// What a list shows otherwise than it is, and what it leaves out.
    fn difference(&self, here: &[Value], state: &State<'_>, step: &Step) -> String {
        let Answer::Users { users: seen, .. } = &step.answer else { return String::new() };
        let otherwise = seen.iter().filter(|seen| !here.contains(seen));
        let otherwise = otherwise.map(|seen| self.tables.slot(seen.user, state.slot(seen.user)));
        let left_out = here.iter().filter(|value| seen.iter().all(|seen| seen.user != value.user));
        let left_out = left_out.map(|value| format!("the list leaves out {}", self.tables.value(*value)));
        let differences = Vec::from_iter(otherwise.chain(left_out));
        if differences.is_empty() { "the list has a user twice".to_owned() } else { differences.join("; ") }
    }
}

impl Tables {
    fn slot(&self, user: u32, slot: Slot) -> String {
        match slot {
            Slot::Unborn => format!("{} does not exist yet", self.user(user)),
            Slot::Gone => format!("{} is deleted", self.user(user)),
            Slot::Alive(value) => format!("{} is {}", self.user(user), self.value(value)),
        }
    }

    fn value(&self, value: Value) -> String {
        let id = self.id(value.user).map_or("?".to_owned(), |id| id.to_string());
        let name = self.names.get(value.name as usize).map_or("?", String::as_str);
        format!("{id}v{} {name} {}", value.version, self.email(value.email))
    }

    fn users(&self, users: &[Value]) -> String {
        format!("[{}]", Vec::from_iter(users.iter().map(|value| self.value(*value))).join(", "))
    }

    fn user(&self, user: u32) -> String {
        self.id(user).map_or("a user whom nobody has seen".to_owned(), |id| format!("user {id}"))
    }

    fn id(&self, user: u32) -> Option<u64> {
        self.ids.get(user as usize).copied().flatten()
    }

    fn email(&self, email: u32) -> &str {
        self.emails.get(email as usize).map_or("?", String::as_str)
    }
}

//! The search for a linearization: Wing and Gong's algorithm with Lowe's memoisation.
//!
//! The search linearizes one call after the other and backtracks where no call can be next. A call can be next if it was
//! invoked before the first response of those that are left. A configuration is the set of linearized calls with the state
//! that they lead to; one that was met before is not searched again, because the same calls are left in the same state.
//!
//! These observations keep the number of configurations low, and the search complete:
//!
//! - **A call without effect is taken as soon as it can be.** If some linearization has it later, then the same order with
//!   the call moved to here is a linearization too: all other calls see the same states.
//! - **A call is not waited for in vain.** Versions rise and a deleted user never returns, so a call that was told of an
//!   older version, or of a user that is gone, can never be next.
//! - **A write with an unknown outcome is taken only for the call after it.** It may take effect at any later moment or
//!   never. So wherever it can be swapped with the call after it and both orders lead to the same state, only the other order
//!   is searched, and a linearization that ends with unknown writes is searched without them. A dozen of them that nobody
//!   has seen cost nothing; without this they would multiply the configurations by 2 to the power of 12.

#![expect(clippy::indexing_slicing, reason = "all places come from the steps themselves")]

use std::collections::HashSet;
use std::time::Instant;

use crate::check::Bounds;
use crate::model::{Effect, Slot, State, fingerprint};
use crate::partition::{Step, Tables, mark};

/// How many dead ends a failed search reports: the deepest ones.
const DEAD_ENDS: usize = 12;

/// What the search has found.
#[derive(Debug)]
pub(crate) enum Found {
    /// An order of the steps that explains all answers. Unknown writes that it does not need are not in it.
    Linearization(Vec<usize>),
    /// There is no such order. Each of these cannot be continued; the longest comes first.
    DeadEnds(Vec<Vec<usize>>),
    /// The bounds were reached before.
    Undecided,
}

/// Searches for a linearization of the steps, and counts the configurations that it met.
pub(crate) fn search(tables: &Tables, steps: &[Step], bounds: &Bounds) -> (Found, usize) {
    let mut search = Search::new(tables, steps);
    let found = search.run(bounds);
    (found, search.met.len())
}

struct Search<'steps> {
    steps: &'steps [Step],
    state: State<'steps>,
    waiting: Waiting,
    unknown: Vec<usize>,
    /// Whether each step, if it is unknown, has taken effect.
    applied: Vec<bool>,
    /// The sum of the marks of the steps taken.
    set: u128,
    met: HashSet<u128>,
    dead_ends: Vec<Vec<usize>>,
}

/// A configuration on the way from the first one to the current one.
struct Frame {
    /// How it was reached; `None` for the first.
    taken: Option<Taken>,
    moves: Vec<Move>,
    next: usize,
    /// Whether a call that was answered could follow here.
    continued: bool,
}

#[derive(Clone, Copy)]
struct Move {
    step: usize,
    effect: Effect,
}

#[derive(Clone, Copy)]
struct Taken {
    step: usize,
    /// The user that it changed, and what that was before.
    undo: Effect,
}

impl<'steps> Search<'steps> {
    fn new(tables: &'steps Tables, steps: &'steps [Step]) -> Self {
        Search {
            steps,
            state: State::new(tables),
            waiting: Waiting::new(steps),
            unknown: (0..steps.len()).filter(|&at| steps[at].is_unknown()).collect(),
            applied: vec![false; steps.len()],
            set: 0,
            met: HashSet::new(),
            dead_ends: Vec::new(),
        }
    }

    fn run(&mut self, bounds: &Bounds) -> Found {
        let deadline = Instant::now().checked_add(bounds.time);
        let mut path = vec![Frame { taken: None, moves: self.moves(None), next: 0, continued: false }];
        while let Some(frame) = path.last_mut() {
            if self.waiting.is_empty() {
                return Found::Linearization(
                    path.iter().filter_map(|frame| frame.taken).map(|taken| taken.step).collect(),
                );
            }
            if let Some(&next) = frame.moves.get(frame.next) {
                frame.next += 1;
                frame.continued |= !self.steps[next.step].is_unknown();
                path.extend(self.enter(next));
            } else {
                self.leave(&mut path);
            }
            let is_late =
                self.met.len().is_multiple_of(1024) && deadline.is_some_and(|deadline| Instant::now() > deadline);
            if self.met.len() > bounds.states || is_late {
                return Found::Undecided;
            }
        }
        let mut dead_ends = std::mem::take(&mut self.dead_ends);
        dead_ends.sort_by_key(|order| std::cmp::Reverse(self.answered(order)));
        Found::DeadEnds(dead_ends)
    }

    /// Takes a step, unless it leads to a configuration that was met before.
    fn enter(&mut self, next: Move) -> Option<Frame> {
        let before = self.state.fingerprint();
        let taken = self.take(next);
        let mut configuration = self.set.wrapping_add(self.state.fingerprint());
        if self.steps[next.step].is_unknown() {
            // What may follow depends on the state before, too.
            configuration ^= fingerprint(&[half(before), half(before >> 64), next.step as u64]);
        }
        if self.met.insert(configuration) {
            return Some(Frame { taken: Some(taken), moves: self.moves(Some(taken)), next: 0, continued: false });
        }
        self.untake(taken);
        None
    }

    /// Leaves a configuration from which all moves were tried.
    fn leave(&mut self, path: &mut Vec<Frame>) {
        let after_unknown = |frame: &Frame| frame.taken.is_some_and(|taken| self.steps[taken.step].is_unknown());
        if path.last().is_some_and(|frame| !frame.continued && !after_unknown(frame)) {
            self.report(path);
        }
        let Some(left) = path.pop() else { return };
        if let Some(taken) = left.taken {
            if let Some(parent) = path.last_mut() {
                parent.continued |= left.continued;
            }
            self.untake(taken);
        }
    }

    fn report(&mut self, path: &[Frame]) {
        let answered = self.waiting.taken;
        let shallowest = (0..self.dead_ends.len()).min_by_key(|&at| self.answered(&self.dead_ends[at]));
        if let Some(shallowest) = shallowest.filter(|_| self.dead_ends.len() >= DEAD_ENDS) {
            if self.answered(&self.dead_ends[shallowest]) >= answered {
                return;
            }
            self.dead_ends.swap_remove(shallowest);
        }
        self.dead_ends.push(path.iter().filter_map(|frame| frame.taken).map(|taken| taken.step).collect());
    }

    fn answered(&self, order: &[usize]) -> usize {
        order.iter().filter(|&&step| !self.steps[step].is_unknown()).count()
    }

    /// The steps that can be next, in the order in which they are tried: those that were answered first, unknown ones last.
    fn moves(&mut self, after: Option<Taken>) -> Vec<Move> {
        let mut moves = Vec::new();
        for step in self.waiting.candidates() {
            match self.state.judge(self.steps[step].action, &self.steps[step].answer) {
                Ok(None) => return vec![Move { step, effect: None }],
                Ok(effect) => moves.push(Move { step, effect }),
                // It waits in vain: nothing that comes next helps.
                Err(_) if self.state.is_past(&self.steps[step]) => return Vec::new(),
                Err(_) => {}
            }
        }
        moves.sort_by_key(|next| self.steps[next.step].end);
        let first_response = self.waiting.first_response(self.steps);
        let answered = moves.len();
        for &step in self.unknown.iter().filter(|&&step| !self.applied[step]) {
            let action = self.steps[step].action;
            let is_tried = moves[answered..].iter().any(|other| self.steps[other.step].action == action);
            if self.steps[step].start <= first_response && !is_tried {
                let effect = self.state.judge(action, &self.steps[step].answer);
                moves.extend(effect.ok().flatten().map(|effect| Move { step, effect: Some(effect) }));
            }
        }
        if let Some(unknown) = after.filter(|taken| self.steps[taken.step].is_unknown()) {
            moves.retain(|next| !self.can_be_swapped(unknown, *next));
        }
        moves
    }

    /// Whether the next step may as well come before the unknown write that was taken last.
    fn can_be_swapped(&mut self, unknown: Taken, next: Move) -> bool {
        let steps = self.steps;
        let (first, second) = (&steps[next.step], &steps[unknown.step]);
        let both = self.after(next.effect, |search| search.state.fingerprint());
        self.after(unknown.undo, |search| {
            let Ok(Some(effect)) = search.state.judge(first.action, &first.answer) else { return false };
            search.after(Some(effect), |search| {
                // Without the unknown write, or with it as the second one. Of two unknown writes one order is enough.
                search.state.fingerprint() == both
                    || (!first.is_unknown() || next.step < unknown.step)
                        && search.state.judge(second.action, &second.answer).is_ok_and(|effect| {
                            effect.is_some() && search.after(effect, |search| search.state.fingerprint() == both)
                        })
            })
        })
    }

    /// Looks at the state after an effect, and undoes it.
    fn after<T>(&mut self, effect: Effect, look: impl FnOnce(&mut Self) -> T) -> T {
        let undo = effect.map(|(user, slot)| (user, self.state.set(user, slot)));
        let seen = look(self);
        undo.map(|(user, slot)| self.state.set(user, slot));
        seen
    }

    fn take(&mut self, next: Move) -> Taken {
        self.set = self.set.wrapping_add(mark(next.step));
        if self.steps[next.step].is_unknown() {
            self.applied[next.step] = true;
        } else {
            self.waiting.remove(next.step);
        }
        Taken { step: next.step, undo: next.effect.map(|(user, slot)| (user, self.state.set(user, slot))) }
    }

    fn untake(&mut self, taken: Taken) {
        taken.undo.map(|(user, slot): (u32, Slot)| self.state.set(user, slot));
        if self.steps[taken.step].is_unknown() {
            self.applied[taken.step] = false;
        } else {
            self.waiting.put_back(taken.step);
        }
        self.set = self.set.wrapping_sub(mark(taken.step));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the other half is taken as well")]
fn half(fingerprint: u128) -> u64 {
    fingerprint as u64
}

/// The answered calls that are not linearized yet: a list of their invocations and responses in the order of time, from
/// which a call is taken, and put back, in a few steps (Knuth's dancing links).
struct Waiting {
    /// Node 0 is both ends; the nodes of step `i` are `2 i + 1`, its invocation, and `2 i + 2`, its response.
    next: Vec<usize>,
    previous: Vec<usize>,
    taken: usize,
}

impl Waiting {
    fn new(steps: &[Step]) -> Self {
        let answered = || steps.iter().enumerate().filter(|(_, step)| !step.is_unknown());
        let invocations = answered().map(|(at, step)| (step.start, false, 2 * at + 1));
        // At the same moment the invocation comes first: then the calls are concurrent.
        let responses = answered().map(|(at, step)| (step.end, true, 2 * at + 2));
        let mut nodes = Vec::from_iter(invocations.chain(responses));
        nodes.sort_unstable();
        let mut waiting =
            Waiting { next: vec![0; 2 * steps.len() + 1], previous: vec![0; 2 * steps.len() + 1], taken: 0 };
        let mut last = 0;
        for (_, _, node) in nodes {
            waiting.next[last] = node;
            waiting.previous[node] = last;
            last = node;
        }
        waiting.previous[0] = last;
        waiting
    }

    fn is_empty(&self) -> bool {
        self.next[0] == 0
    }

    /// The steps that were invoked before the first response.
    fn candidates(&self) -> impl Iterator<Item = usize> {
        let nodes = std::iter::successors(Some(self.next[0]), |&node| Some(self.next[node]));
        nodes.take_while(|node| node % 2 == 1).map(|node| node / 2)
    }

    /// When the first response came.
    fn first_response(&self, steps: &[Step]) -> u64 {
        let nodes = std::iter::successors(Some(self.next[0]), |&node| Some(self.next[node]));
        let mut responses = nodes.skip_while(|node| node % 2 == 1);
        responses.next().filter(|&node| node > 0).map_or(u64::MAX, |node| steps[node / 2 - 1].end)
    }

    fn remove(&mut self, step: usize) {
        for node in [2 * step + 1, 2 * step + 2] {
            let (previous, next) = (self.previous[node], self.next[node]);
            self.next[previous] = next;
            self.previous[next] = previous;
        }
        self.taken += 1;
    }

    fn put_back(&mut self, step: usize) {
        for node in [2 * step + 2, 2 * step + 1] {
            let (previous, next) = (self.previous[node], self.next[node]);
            self.next[previous] = node;
            self.previous[next] = node;
        }
        self.taken -= 1;
    }
}

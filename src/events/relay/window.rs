//! Which events may be sent now: a user's next one when the one before it is finished, whatever becomes of other users'.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::domain::{Event, Position, UserId};

/// Events between the log and the broker.
#[derive(Default)]
pub(super) struct Window {
    /// Where the first of these stands, the log is not finished.
    unfinished: BTreeSet<Position>,
    ready: VecDeque<Event>,
    /// The users that have an event ready or on its way, and what waits behind it.
    behind: HashMap<UserId, VecDeque<Event>>,
}

impl Window {
    /// Takes the next event of the log.
    pub(super) fn add(&mut self, event: Event) {
        self.unfinished.insert(event.position);
        if let Some(behind) = self.behind.get_mut(&event.user_id) {
            return behind.push_back(event);
        }
        self.behind.insert(event.user_id, VecDeque::new());
        self.ready.push_back(event);
    }

    /// The next event to be sent.
    pub(super) fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// An event is sent: the user's next one is ready.
    pub(super) fn finish(&mut self, event: &Event) {
        self.unfinished.remove(&event.position);
        match self.behind.get_mut(&event.user_id).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => drop(self.behind.remove(&event.user_id)),
        }
    }

    /// An event is not to be sent from here, and so none of its user's: returns those that waited behind it.
    pub(super) fn give_up(&mut self, event: &Event) -> VecDeque<Event> {
        let behind = self.behind.remove(&event.user_id).unwrap_or_default();
        for event in behind.iter().chain([event]) {
            self.unfinished.remove(&event.position);
        }
        behind
    }

    /// Whether an event of this user is here.
    pub(super) fn has(&self, user: UserId) -> bool {
        self.behind.contains_key(&user)
    }

    /// How many events are not finished.
    pub(super) fn len(&self) -> usize {
        self.unfinished.len()
    }

    /// Up to where all is finished, if the log was read up to there.
    pub(super) fn finished_to(&self, read_to: Position) -> Position {
        self.unfinished.first().map_or(read_to, |first| Position(first.0 - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Change, Timestamp, Version};

    fn event(position: i64, user: i64) -> Event {
        let (position, occurred_at) = (Position(position), Timestamp::from_unix_micros(0));
        let id = Event::uuid(occurred_at, 0, position);
        let (user_id, version) = (UserId::stored(user), Version(position.0));
        Event { position, id, occurred_at, user_id, version, change: Change::Deleted, trace_parent: None }
    }

    fn window(events: &[(i64, i64)]) -> Window {
        let mut window = Window::default();
        for (position, user) in events {
            window.add(event(*position, *user));
        }
        window
    }

    fn ready(window: &mut Window) -> Vec<i64> {
        Vec::from_iter(std::iter::from_fn(|| window.next()).map(|event| event.position.0))
    }

    #[test]
    fn a_users_next_event_waits_for_the_one_before_it() {
        let mut window = window(&[(1, 7), (2, 7), (3, 8), (4, 7)]);
        assert_eq!(ready(&mut window), [1, 3]);
        window.finish(&event(3, 8));
        assert!(ready(&mut window).is_empty());
        window.finish(&event(1, 7));
        assert_eq!(ready(&mut window), [2]);
        window.finish(&event(2, 7));
        assert_eq!(ready(&mut window), [4]);
    }

    #[test]
    fn the_log_is_finished_up_to_the_first_event_that_is_not() {
        let mut window = window(&[(3, 7), (5, 8), (6, 9)]);
        assert_eq!(window.finished_to(Position(9)), Position(2));
        window.finish(&event(5, 8));
        assert_eq!(window.finished_to(Position(9)), Position(2));
        window.finish(&event(3, 7));
        assert_eq!(window.finished_to(Position(9)), Position(5));
        window.finish(&event(6, 9));
        assert_eq!((window.finished_to(Position(9)), window.len()), (Position(9), 0));
    }

    #[test]
    fn who_gives_up_an_event_gets_all_that_waited_behind_it() {
        let mut window = window(&[(1, 7), (2, 8), (3, 7), (4, 7)]);
        assert_eq!(ready(&mut window), [1, 2]);
        let behind = window.give_up(&event(1, 7));
        assert_eq!(Vec::from_iter(behind.iter().map(|event| event.position.0)), [3, 4]);
        assert_eq!((window.finished_to(Position(4)), window.len()), (Position(1), 1));
        window.add(event(5, 7));
        assert_eq!(ready(&mut window), [5]);
    }
}

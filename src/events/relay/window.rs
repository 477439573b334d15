//! Orders the events to be sent: each user's events one after the other, independently of other users. Pure, without
//! I/O.
//!
//! A user's next event is sent once the previous one is confirmed. So if an event is refused, those behind it can be
//! held before they overtake it. This costs a wait only where one user changes faster than the broker confirms. The
//! [session](super::session) reads up to 2,000 events into the window, and has up to 1,000 in flight.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::domain::{Event, Position, UserId};

/// The events between the log and the broker.
#[derive(Default)]
pub(super) struct Window {
    /// The positions of all events in the window.
    unfinished: BTreeSet<Position>,
    ready: VecDeque<Event>,
    /// For each user with an event that is ready or in flight, the events that wait for it.
    behind: HashMap<UserId, VecDeque<Event>>,
}

impl Window {
    /// Adds the next event of the log.
    pub(super) fn add(&mut self, event: Event) {
        self.unfinished.insert(event.position);
        if let Some(behind) = self.behind.get_mut(&event.user_id) {
            return behind.push_back(event);
        }
        self.behind.insert(event.user_id, VecDeque::new());
        self.ready.push_back(event);
    }

    /// Takes the next event to be sent.
    pub(super) fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Removes an event that was sent. The user's next event becomes ready.
    pub(super) fn finish(&mut self, event: &Event) {
        self.unfinished.remove(&event.position);
        match self.behind.get_mut(&event.user_id).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => drop(self.behind.remove(&event.user_id)),
        }
    }

    /// Removes an event that was refused, together with its user's later events, and returns those.
    pub(super) fn remove_refused(&mut self, event: &Event) -> VecDeque<Event> {
        let behind = self.behind.remove(&event.user_id).unwrap_or_default();
        for event in behind.iter().chain([event]) {
            self.unfinished.remove(&event.position);
        }
        behind
    }

    /// Whether the window contains an event of this user.
    pub(super) fn has(&self, user: UserId) -> bool {
        self.behind.contains_key(&user)
    }

    /// The number of events in the window.
    pub(super) fn len(&self) -> usize {
        self.unfinished.len()
    }

    /// The position up to which all events have left the window, given how far the log was read.
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
        let change = Change::Deleted;
        Event { position, id, occurred_at, user_id, version, change, knows_profile: true, trace_parent: None }
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
    fn the_log_is_finished_up_to_the_first_event_in_the_window() {
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
    fn removing_an_event_returns_the_users_later_events() {
        let mut window = window(&[(1, 7), (2, 8), (3, 7), (4, 7)]);
        assert_eq!(ready(&mut window), [1, 2]);
        let behind = window.remove_refused(&event(1, 7));
        assert_eq!(Vec::from_iter(behind.iter().map(|event| event.position.0)), [3, 4]);
        assert_eq!((window.finished_to(Position(4)), window.len()), (Position(1), 1));
        window.add(event(5, 7));
        assert_eq!(ready(&mut window), [5]);
    }
}

//! The last events, for all readers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::cloud_event::EventType;
use super::told::Told;
use crate::domain::{Error, Position};
use crate::storage::Checkpoint;

/// How many events a reader takes at once. It holds no more of them than that, some 50 KiB, however slow it is.
pub(super) const PIECE: u8 = 64;

/// The last events, in order. Those that are added push out the oldest.
pub(super) struct Ring {
    room: usize,
    epoch: Epoch,
    /// Where the log goes on with the events that are here.
    after: Checkpoint,
    events: VecDeque<Arc<Told>>,
}

/// Counts how often it began anew: what a reader has seen belongs to the epoch that it began in, and says nothing about
/// another one's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// How far the log was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) epoch: Epoch,
    pub(super) mark: Checkpoint,
}

/// What a reader takes at once.
pub(super) struct Piece {
    /// Those it wants, in order.
    pub(super) events: Vec<Arc<Told>>,
    /// It has seen all events up to here.
    pub(super) to: Position,
}

impl Ring {
    /// One that has room for so many.
    pub(super) fn new(room: usize) -> Self {
        Self { room, epoch: Epoch::default(), after: Checkpoint::default(), events: VecDeque::new() }
    }

    /// Begins anew, with the events after this one.
    pub(super) fn restart(&mut self, after: Checkpoint) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.after = after;
        self.events.clear();
    }

    /// Adds the next events of the log.
    pub(super) fn extend(&mut self, told: impl IntoIterator<Item = Told>) {
        for told in told {
            self.push(told);
        }
    }

    fn push(&mut self, told: Told) {
        if self.events.len() >= self.room
            && let Some(oldest) = self.events.pop_front()
        {
            self.after = Checkpoint::of(&oldest.event);
        }
        self.events.push_back(Arc::new(told));
    }

    /// How far the log was followed.
    pub(super) fn head(&self) -> Head {
        let mark = self.events.back().map_or(self.after, |last| Checkpoint::of(&last.event));
        Head { epoch: self.epoch, mark }
    }

    /// What comes next for whoever has seen all events up to there. `None` if a part of that is here no more.
    ///
    /// # Errors
    /// [`Error::EventsGone`] when that was in another epoch.
    pub(super) fn next(&self, epoch: Epoch, seen: Position, types: &[EventType]) -> Result<Option<Piece>, Error> {
        if epoch != self.epoch {
            return Err(Error::EventsGone);
        }
        Ok((seen >= self.after.position()).then(|| self.piece(seen, types)))
    }

    fn piece(&self, seen: Position, types: &[EventType]) -> Piece {
        let first = self.events.partition_point(|told| told.position() <= seen);
        let mut piece = Piece { events: Vec::new(), to: seen };
        for told in self.events.iter().skip(first) {
            piece.to = told.position();
            if types.contains(&told.r#type) {
                piece.events.push(Arc::clone(told));
            }
            if piece.events.len() >= usize::from(PIECE) {
                break;
            }
        }
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[EventType] = &EventType::ALL;

    fn told(position: i64) -> Told {
        let r#type = if position % 10 == 0 { EventType::Deleted } else { EventType::Created };
        Told::example(position, r#type, String::new())
    }

    fn ring(room: usize, positions: impl IntoIterator<Item = i64>) -> Ring {
        let mut ring = Ring::new(room);
        ring.extend(positions.into_iter().map(told));
        ring
    }

    fn next(ring: &Ring, seen: i64, types: &[EventType]) -> Option<(Vec<i64>, i64)> {
        let piece = ring.next(ring.epoch, Position(seen), types).unwrap()?;
        Some((piece.events.iter().map(|told| told.position().0).collect(), piece.to.0))
    }

    #[test]
    fn a_reader_gets_what_it_has_not_seen() {
        let ring = ring(10, [1, 2, 4, 7]);
        assert_eq!(next(&ring, 0, ALL), Some((vec![1, 2, 4, 7], 7)));
        assert_eq!(next(&ring, 2, ALL), Some((vec![4, 7], 7)));
        assert_eq!(next(&ring, 3, ALL), Some((vec![4, 7], 7)));
        assert_eq!(next(&ring, 7, ALL), Some((vec![], 7)));
        assert_eq!(next(&ring, 9, ALL), Some((vec![], 9)), "it has been further elsewhere");
    }

    #[test]
    fn what_was_pushed_out_is_not_there() {
        let ring = ring(3, [1, 2, 4, 7, 8]);
        assert_eq!(next(&ring, 1, ALL), None);
        assert_eq!(next(&ring, 2, ALL), Some((vec![4, 7, 8], 8)));
    }

    #[test]
    fn a_piece_is_bounded() {
        let ring = ring(1000, 1..=1000);
        let (events, to) = next(&ring, 0, ALL).unwrap();
        assert_eq!((events.len(), to), (64, 64));
        let (events, to) = next(&ring, to, ALL).unwrap();
        assert_eq!((events.len(), events.first(), to), (64, Some(&65), 128));
    }

    #[test]
    fn whoever_wants_few_gets_on_all_the_same() {
        let ring = ring(1000, 1..=25);
        assert_eq!(next(&ring, 3, &[EventType::Deleted]), Some((vec![10, 20], 25)));
        assert_eq!(next(&ring, 3, &[EventType::Updated]), Some((vec![], 25)));
    }

    #[test]
    fn it_begins_anew_further_on() {
        let mut ring = ring(10, [1, 2]);
        ring.restart(Checkpoint::unknown(Position(50)));
        assert_eq!((ring.head().mark.position(), next(&ring, 2, ALL)), (Position(50), None));
        ring.extend([told(53)]);
        assert_eq!((ring.head().mark.position(), next(&ring, 50, ALL)), (Position(53), Some((vec![53], 53))));
    }

    #[test]
    fn whoever_was_there_before_it_began_anew_gets_nothing() {
        let mut ring = ring(10, [1, 2]);
        let before = ring.head().epoch;
        ring.restart(Checkpoint::unknown(Position(1)));
        ring.extend([told(2), told(3)]);
        assert_eq!(ring.next(before, Position(2), ALL).err(), Some(Error::EventsGone));
        assert_eq!(next(&ring, 2, ALL), Some((vec![3], 3)));
    }
}

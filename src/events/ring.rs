//! The last events in memory, for all readers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::format::{EventType, PublishedEvent};
use crate::domain::{Error, Position};
use crate::storage::Checkpoint;

/// The number of events per chunk. However slow a reader is, it holds no more than one chunk, usually some
/// 50 KiB.
pub(super) const CHUNK: u8 = 64;
/// A chunk takes no more events once it has so many bytes.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// About how many bytes the ring holds, however large its events are.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The last events in order. New events push out the oldest.
pub(super) struct Ring {
    capacity: usize,
    epoch: Epoch,
    /// The event in the log before the first one in the ring.
    after: Checkpoint,
    events: VecDeque<Arc<PublishedEvent>>,
    /// How large they are together.
    bytes: usize,
}

/// Counts the restarts of the ring. A reader's position is valid only in the epoch in which it began, because another
/// epoch may follow another log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// How far the log has been followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) epoch: Epoch,
    pub(super) checkpoint: Checkpoint,
}

/// What a reader takes from the ring or the log at a time.
pub(super) struct Chunk {
    /// The events of the reader's types, in order.
    pub(super) events: Vec<Arc<PublishedEvent>>,
    /// The position up to which the chunk covers the log.
    pub(super) to: Position,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, epoch: Epoch::default(), after: Checkpoint::default(), events: VecDeque::new(), bytes: 0 }
    }

    /// Empties the ring and begins a new epoch, in which this event comes before the first.
    pub(super) fn restart(&mut self, after: Checkpoint) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.after = after;
        self.events.clear();
        self.bytes = 0;
    }

    /// Adds the next events of the log.
    pub(super) fn extend(&mut self, event: impl IntoIterator<Item = PublishedEvent>) {
        for event in event {
            self.push(event);
        }
    }

    fn push(&mut self, event: PublishedEvent) {
        self.bytes += event.bytes();
        while self.events.len() >= self.capacity || self.bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.after = Checkpoint::of(&oldest.event);
        }
        self.events.push_back(Arc::new(event));
    }

    /// How far the log has been followed.
    pub(super) fn head(&self) -> Head {
        let checkpoint = self.events.back().map_or(self.after, |last| Checkpoint::of(&last.event));
        Head { epoch: self.epoch, checkpoint }
    }

    /// The next chunk for a reader that has seen all events up to `seen`. `None` if some of the next events were pushed
    /// out.
    ///
    /// # Errors
    /// [`Error::EventsGone`] when `epoch` is not the current one.
    pub(super) fn next(&self, epoch: Epoch, seen: Position, types: &[EventType]) -> Result<Option<Chunk>, Error> {
        if epoch != self.epoch {
            return Err(Error::EventsGone);
        }
        Ok((seen >= self.after.position()).then(|| self.chunk(seen, types)))
    }

    fn chunk(&self, seen: Position, types: &[EventType]) -> Chunk {
        let first = self.events.partition_point(|event| event.position() <= seen);
        let (mut chunk, mut bytes) = (Chunk { events: Vec::new(), to: seen }, 0);
        for event in self.events.iter().skip(first) {
            chunk.to = event.position();
            if types.contains(&event.r#type) {
                bytes += event.bytes();
                chunk.events.push(Arc::clone(event));
            }
            if chunk.events.len() >= usize::from(CHUNK) || bytes >= CHUNK_BYTES {
                break;
            }
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[EventType] = &EventType::ALL;

    fn event(position: i64) -> PublishedEvent {
        let r#type = if position % 10 == 0 { EventType::Deleted } else { EventType::Created };
        PublishedEvent::example(position, r#type, String::new())
    }

    fn ring(capacity: usize, positions: impl IntoIterator<Item = i64>) -> Ring {
        let mut ring = Ring::new(capacity);
        ring.extend(positions.into_iter().map(event));
        ring
    }

    fn next(ring: &Ring, seen: i64, types: &[EventType]) -> Option<(Vec<i64>, i64)> {
        let chunk = ring.next(ring.epoch, Position(seen), types).unwrap()?;
        Some((chunk.events.iter().map(|event| event.position().0).collect(), chunk.to.0))
    }

    #[test]
    fn a_reader_gets_the_events_that_it_has_not_seen() {
        let ring = ring(10, [1, 2, 4, 7]);
        assert_eq!(next(&ring, 0, ALL), Some((vec![1, 2, 4, 7], 7)));
        assert_eq!(next(&ring, 2, ALL), Some((vec![4, 7], 7)));
        assert_eq!(next(&ring, 3, ALL), Some((vec![4, 7], 7)));
        assert_eq!(next(&ring, 7, ALL), Some((vec![], 7)));
        assert_eq!(next(&ring, 9, ALL), Some((vec![], 9)), "another replica was ahead");
    }

    #[test]
    fn events_that_were_pushed_out_are_missing() {
        let ring = ring(3, [1, 2, 4, 7, 8]);
        assert_eq!(next(&ring, 1, ALL), None);
        assert_eq!(next(&ring, 2, ALL), Some((vec![4, 7, 8], 8)));
    }

    #[test]
    fn chunks_are_bounded() {
        let ring = ring(1000, 1..=1000);
        let (events, to) = next(&ring, 0, ALL).unwrap();
        assert_eq!((events.len(), to), (64, 64));
        let (events, to) = next(&ring, to, ALL).unwrap();
        assert_eq!((events.len(), events.first(), to), (64, Some(&65), 128));
    }

    #[test]
    fn a_reader_of_few_types_advances_nonetheless() {
        let ring = ring(1000, 1..=25);
        assert_eq!(next(&ring, 3, &[EventType::Deleted]), Some((vec![10, 20], 25)));
        assert_eq!(next(&ring, 3, &[EventType::Updated]), Some((vec![], 25)));
    }

    #[test]
    fn the_ring_restarts_further_on() {
        let mut ring = ring(10, [1, 2]);
        ring.restart(Checkpoint::unknown(Position(50)));
        assert_eq!((ring.head().checkpoint.position(), next(&ring, 2, ALL)), (Position(50), None));
        ring.extend([event(53)]);
        assert_eq!((ring.head().checkpoint.position(), next(&ring, 50, ALL)), (Position(53), Some((vec![53], 53))));
    }

    #[test]
    fn readers_of_an_earlier_epoch_get_nothing() {
        let mut ring = ring(10, [1, 2]);
        let before = ring.head().epoch;
        ring.restart(Checkpoint::unknown(Position(1)));
        ring.extend([event(2), event(3)]);
        assert_eq!(ring.next(before, Position(2), ALL).err(), Some(Error::EventsGone));
        assert_eq!(next(&ring, 2, ALL), Some((vec![3], 3)));
    }
}

//! How fresh an answer is.

use std::time::Duration;

use super::Position;

/// A value, and how much of the log of events it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOf<T> {
    pub value: T,
    /// The highest offset that the log may have had then. Some offsets below it may still be filled, so it is no offset
    /// to follow the log from.
    pub position: Position,
    /// How long ago the value is known to have been right. `None` if it was right after the request came.
    pub age: Option<Duration>,
}

impl<T> AsOf<T> {
    /// A value that was right after the request came.
    #[must_use]
    pub const fn latest(value: T, position: Position) -> Self {
        Self { value, position, age: None }
    }

    /// How fresh the value is, without it.
    #[must_use]
    pub const fn freshness(&self) -> AsOf<()> {
        AsOf { value: (), position: self.position, age: self.age }
    }

    /// The age in whole seconds, rounded up: at least 1.
    #[must_use]
    pub fn age_in_seconds(&self) -> Option<u64> {
        self.age.map(|age| age.as_secs() + u64::from(age.subsec_nanos() > 0)).map(|age| age.max(1))
    }

    /// Another value, of the same moment.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> AsOf<U> {
        AsOf { value: change(self.value), position: self.position, age: self.age }
    }

    /// This value and another one in one answer: as old as the older one.
    #[must_use]
    pub fn and<U, V>(self, other: AsOf<U>, join: impl FnOnce(T, U) -> V) -> AsOf<V> {
        let (position, age) = (self.position.max(other.position), self.age.max(other.age));
        AsOf { value: join(self.value, other.value), position, age }
    }
}

impl<T> AsOf<Option<T>> {
    /// `None` if there is no value.
    #[must_use]
    pub fn transpose(self) -> Option<AsOf<T>> {
        let Self { value, position, age } = self;
        value.map(|value| AsOf { value, position, age })
    }
}

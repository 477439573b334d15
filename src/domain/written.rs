//! The answer to a write.

use super::{AsOf, Position};

/// What a write has made, and whether this answer is a repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    pub answer: AsOf<T>,
    /// Whether the write was executed earlier, with the same idempotency key.
    pub is_replay: bool,
}

impl<T: Default> Written<T> {
    /// The answer to a write of nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self { answer: AsOf::latest(T::default(), Position::default()), is_replay: false }
    }
}

impl<T> Written<T> {
    /// Another value of the same write.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Written<U> {
        Written { answer: self.answer.map(change), is_replay: self.is_replay }
    }
}

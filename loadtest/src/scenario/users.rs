//! The users that a run reads and updates.

use std::ops::RangeInclusive;

pub(crate) enum Users {
    /// Those that the run has made: their ids, in the order of their numbers.
    Made(Vec<i64>),
    /// Those that are there, which are only read.
    There(RangeInclusive<i64>),
}

impl Users {
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Made(ids) => ids.len() as u64,
            Self::There(ids) => ids.end().abs_diff(*ids.start()) + 1,
        }
    }

    /// A user's number and id, at random. Id 0, which no user has, if there are none.
    pub(crate) fn pick(&self, random: &mut fastrand::Rng) -> (usize, i64) {
        match self {
            Self::Made(ids) => {
                let number = random.usize(..ids.len().max(1));
                (number, ids.get(number).copied().unwrap_or(0))
            }
            Self::There(ids) => (0, random.i64(ids.clone())),
        }
    }
}

//! What the cache had read of the log when a batch began.

use std::time::Instant;

use super::changed::Moment;
use super::places::Places;

/// What the cache had read when a batch began.
pub(crate) struct Ticket {
    pub(super) began: Instant,
    pub(super) epoch: u64,
    pub(super) at: Moment,
    pub(super) server: i64,
    pub(super) salt: Option<i64>,
    pub(super) places: Places,
    pub(super) settled: i64,
}

impl Ticket {
    pub(crate) const fn highest(&self) -> i64 {
        self.places.highest()
    }

    /// First and last place of each gap.
    pub(crate) fn gaps(&self) -> &[(i64, i64)] {
        self.places.gaps()
    }

    pub(super) fn watermark(&self) -> i64 {
        self.places.watermark()
    }
}

//! A delete.

use crate::domain::{Once, UserId, Version};
use crate::telemetry::TracedSpan;

/// A user to delete.
pub(crate) struct Delete {
    pub(crate) id: UserId,
    pub(crate) expected: Option<Version>,
    pub(crate) trace: Option<TracedSpan>,
    pub(crate) once: Option<Once>,
}

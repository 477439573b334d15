use crate::domain::{UserId, Version};
use crate::telemetry::TracePlace;

/// A user to delete.
pub(crate) struct Delete {
    pub(crate) id: UserId,
    pub(crate) expected: Option<Version>,
    pub(crate) trace: Option<TracePlace>,
}

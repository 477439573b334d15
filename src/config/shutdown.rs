//! The variables of the shutdown.

use std::time::Duration;

use super::reader::Reader;

/// How the service shuts down.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownSettings {
    /// How long the service accepts requests after `/ready` has turned 503, so that load balancers notice.
    pub delay: Duration,
    /// How long the whole shutdown may take.
    pub grace: Duration,
}

impl Reader<'_> {
    pub(super) fn shutdown(&mut self) -> Option<ShutdownSettings> {
        let delay = self.delay("SHUTDOWN_DELAY", "1s");
        let grace = self.duration("SHUTDOWN_GRACE", "20s");
        let settings = ShutdownSettings { delay: delay?, grace: grace? };
        self.require(settings.delay < settings.grace, "SHUTDOWN_DELAY", "a duration below that of SHUTDOWN_GRACE")?;
        Some(settings)
    }
}

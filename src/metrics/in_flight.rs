use prometheus::IntGauge;

/// A request or call in flight. Dropping it ends that, even if the client has disconnected.
pub struct InFlight(IntGauge);

impl InFlight {
    pub(super) fn begin(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, Opts};

type Read = Box<dyn Fn() -> f64 + Send + Sync>;

/// Gauges whose values are read at each scrape and cost nothing in between.
#[derive(Clone)]
pub(super) struct Sampled {
    gauges: GaugeVec,
    reads: Arc<Mutex<Vec<(Gauge, Read)>>>,
}

impl Sampled {
    pub(super) fn new(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self> {
        Ok(Self { gauges: GaugeVec::new(Opts::new(name, help), labels)?, reads: Arc::default() })
    }

    /// Adds a series with these labels, whose value `read` returns.
    pub(super) fn add(&self, labels: &[&str], read: impl Fn() -> f64 + Send + Sync + 'static) {
        let gauge = self.gauges.with_label_values(labels);
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push((gauge, Box::new(read)));
    }
}

impl Collector for Sampled {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (gauge, read) in self.reads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            gauge.set(read());
        }
        self.gauges.collect()
    }
}

//! Traces: spans of the requests that are sampled, sent to a collector over OTLP.
//!
//! Whether a request is sampled is decided before any span is made, so that one which is not pays for the decision only.
//! Nothing but this module makes spans, and only for what is sampled.

mod collector;
mod ids;
mod parent;
mod request;
mod sampler;
mod spans;
mod subscriber;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfig, BatchConfigBuilder, BatchSpanProcessor, Sampler as SdkSampler, SdkTracerProvider,
};

use url::Url;

use collector::Collector;
use ids::Ids;
use parent::Parent;
use request::Sampled;
pub use request::{Arrived, RequestTrace};
pub use sampler::Sampler;
pub use spans::{BatchSpan, use_case};

/// Where spans go, and which. The names are those of the standard's variables `OTEL_*`.
#[derive(Clone)]
pub struct Settings {
    /// With its path.
    pub endpoint: Url,
    /// Secret.
    pub headers: HashMap<String, String>,
    pub timeout: Duration,
    pub sampler: Sampler,
    pub service_name: String,
    /// What else tells this service from others.
    pub resource: Vec<(String, String)>,
    /// Spans that may wait; more are lost.
    pub max_queue: usize,
    /// Spans that are sent at once.
    pub max_export_batch: usize,
    pub schedule_delay: Duration,
    /// Links that a span may have: one for each request of a batch.
    pub max_links: u32,
}

/// Without the headers.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("sampler", &self.sampler).finish_non_exhaustive()
    }
}

/// Makes the spans of requests. Clones share what sends them.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<On>>);

struct On {
    sampler: Sampler,
    provider: SdkTracerProvider,
}

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("cannot send traces: {0}")]
    Exporter(#[from] ExporterBuildError),
    #[error("traces were started before")]
    Twice,
}

impl Traces {
    /// Begins to send spans; without settings, makes none. Once in the life of a process: `tracing` has one global
    /// subscriber.
    ///
    /// # Errors
    /// When the settings cannot be used, or it was started before.
    pub fn start(settings: Option<&Settings>) -> Result<Self, TracesError> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        let provider = provider(settings)?;
        subscriber::install(provider.tracer(env!("CARGO_PKG_NAME"))).map_err(|_| TracesError::Twice)?;
        Ok(Self(Some(Arc::new(On { sampler: settings.sampler, provider }))))
    }

    /// The part of a request in its trace. `parents` and `states` are the values of its headers `traceparent` and
    /// `tracestate`.
    pub fn begin<'a>(
        &self,
        parents: impl Iterator<Item = &'a [u8]>,
        states: impl Iterator<Item = &'a [u8]>,
        arrived: &Arrived,
    ) -> RequestTrace {
        let parent = Parent::read(parents);
        let sampled = self.0.as_deref().and_then(|on| {
            let trace_id = parent.map_or_else(Ids::random, |parent| parent.trace_id);
            on.sampler.samples(parent, trace_id).then(|| Sampled::start(parent, states, trace_id, arrived))
        });
        RequestTrace { parent, sampled }
    }

    /// Sends the spans that have ended. Blocks for some seconds at the most.
    pub fn flush(&self) {
        let Some(on) = self.0.as_deref() else { return };
        // What sends them says when it cannot.
        let _ = on.provider.force_flush();
    }

    /// Sends what is left, for as long as this. Blocks.
    pub fn shutdown(&self, patience: Duration) {
        let Some(on) = self.0.as_deref() else { return };
        if let Err(error) = on.provider.shutdown_with_timeout(patience) {
            log::warn!("the last spans are lost: {error}");
        }
    }
}

/// What sends spans, on a thread of its own.
fn provider(settings: &Settings) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new(&settings.endpoint, settings.timeout))
        .with_endpoint(settings.endpoint.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(settings.timeout)
        .with_headers(headers(settings))
        .build()?;
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches(settings)).build();
    let provider = SdkTracerProvider::builder()
        // Whoever makes a span has decided already.
        .with_sampler(SdkSampler::AlwaysOn)
        .with_id_generator(Ids::default())
        .with_max_links_per_span(settings.max_links)
        .with_resource(resource(settings))
        .with_span_processor(processor)
        .build();
    Ok(provider)
}

/// The exporter decodes them once more.
fn headers(settings: &Settings) -> HashMap<String, String> {
    settings.headers.iter().map(|(name, value)| (name.clone(), value.replace('%', "%25"))).collect()
}

fn batches(settings: &Settings) -> BatchConfig {
    BatchConfigBuilder::default()
        .with_max_queue_size(settings.max_queue)
        .with_max_export_batch_size(settings.max_export_batch)
        .with_scheduled_delay(settings.schedule_delay)
        .build()
}

fn resource(settings: &Settings) -> Resource {
    let attributes = settings.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder().with_attributes(attributes).with_service_name(settings.service_name.clone()).build()
}

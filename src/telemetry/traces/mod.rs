//! Traces: spans of sampled requests, exported to a collector over OTLP.
//!
//! `tracing` makes the spans. OpenTelemetry's SDK sends them from its own thread, through a queue that drops what it
//! has no room for. Only this module creates spans. Four things differ from what one might expect:
//!
//! - The **sampler** is our own. OpenTelemetry's decides after a span exists, so all requests would pay for spans of
//!   which a hundredth is kept. Ours decides first, so tracing one request in a hundred costs about a hundredth. It
//!   looks at the same bits of the trace id, and a test compares the two.
//! - **`traceparent`** is parsed here. OpenTelemetry's parser accepts ids that are too short, and is ten times slower.
//! - Other crates use `tracing` as a log. With a subscriber for spans, their lines would vanish from the log without
//!   the feature `log-always`. Our spans have the level TRACE, which `log` leaves out of a release build, so that they
//!   do not become lines.
//! - A **batch** is a root with links, since a span has only one parent. It links to the spans of the requests that it
//!   executed. A request that is deferred to the next batch is linked there.

mod collector;
mod ids;
mod parent;
mod request;
mod sampler;
mod settings;
mod spans;
mod subscriber;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfig, BatchConfigBuilder, BatchSpanProcessor, Sampler as SdkSampler, SdkTracerProvider,
};

use collector::Collector;
use ids::Ids;
use parent::Parent;
use request::Sampled;
pub use request::{Arrived, RequestTrace};
pub use sampler::Sampler;
pub use settings::Settings;
pub use spans::{BatchSpan, use_case};

/// Starts the spans of requests. Clones share the exporter.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<On>>);

struct On {
    sampler: Sampler,
    provider: SdkTracerProvider,
}

/// Why tracing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("cannot send traces: {0}")]
    Exporter(#[from] ExporterBuildError),
    #[error("traces were started before")]
    Twice,
}

impl Traces {
    /// Starts exporting spans. Without settings it creates no spans. May be called with settings only once per process,
    /// because `tracing` has one global subscriber.
    ///
    /// # Errors
    /// When the settings are unusable, or tracing was started before.
    pub fn start(settings: Option<&Settings>) -> Result<Self, TracesError> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        let provider = provider(settings)?;
        subscriber::install(provider.tracer(env!("CARGO_PKG_NAME"))).map_err(|_| TracesError::Twice)?;
        Ok(Self(Some(Arc::new(On { sampler: settings.sampler, provider }))))
    }

    /// Begins the trace of a request. `parents` and `states` are the values of its `traceparent` and `tracestate`
    /// headers.
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

    /// Exports the spans that have ended. Blocks for a few seconds at most.
    pub fn flush(&self) {
        let Some(on) = self.0.as_deref() else { return };
        // The exporter logs its failures.
        let _ = on.provider.force_flush();
    }

    /// Exports the remaining spans and stops. Blocks for up to `timeout`.
    pub fn shutdown(&self, timeout: Duration) {
        let Some(on) = self.0.as_deref() else { return };
        if let Err(error) = on.provider.shutdown_with_timeout(timeout) {
            log::warn!("the last spans are lost: {error}");
        }
    }
}

/// Creates the provider, which exports spans on a dedicated thread.
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
        // The sampling decision has been made before a span is created.
        .with_sampler(SdkSampler::AlwaysOn)
        .with_id_generator(Ids::default())
        .with_max_links_per_span(settings.max_links)
        .with_resource(resource(settings))
        .with_span_processor(processor)
        .build();
    Ok(provider)
}

/// Escapes `%`, because the exporter percent-decodes the values.
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

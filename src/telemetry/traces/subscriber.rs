//! The global `tracing` subscriber.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, SetGlobalDefaultError, set_global_default};
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

/// The target of all our spans. Their level is TRACE, which release builds remove from `log`, so that spans do not
/// become log lines.
pub(super) const TARGET: &str = env!("CARGO_PKG_NAME");

/// Installs a subscriber that passes only our spans to the tracer.
pub(super) fn install(tracer: SdkTracer) -> Result<(), SetGlobalDefaultError> {
    let layer = OpenTelemetryLayer::new(tracer)
        // These would become attributes of each span.
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // Making the current span OpenTelemetry's current span too would only help libraries that use that API.
        .with_context_activation(false);
    set_global_default(Registry::default().with(layer).with(OnlyOurs))?;
    IS_INSTALLED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether tracing is on.
#[inline]
pub(super) fn is_installed() -> bool {
    IS_INSTALLED.load(Ordering::Relaxed)
}

static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Filters out the spans and events of other crates. Those belong in the log only (`tracing`'s feature `log-always`).
/// `tracing` asks once per call site.
struct OnlyOurs;

impl OnlyOurs {
    fn is_ours(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == TARGET
    }
}

impl<S: Subscriber> Layer<S> for OnlyOurs {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::is_ours(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        Self::is_ours(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

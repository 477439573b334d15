//! Decides which requests are traced.

use opentelemetry::trace::TraceId;

use super::parent::Parent;

/// The sampler in `OTEL_TRACES_SAMPLER`. It decides as the SDK's samplers do, but needs no context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Whether to follow the caller's decision, if there is one.
    parent_based: bool,
    /// The ratio in units of 2⁻⁶³: a trace is sampled if the last 63 bits of its id are below the bound.
    bound: u64,
}

const ALL: u64 = 1 << 63;

impl Sampler {
    /// Follows the caller's decision, and samples all traces that begin here.
    pub const DEFAULT: Self = Self { parent_based: true, bound: ALL };

    /// Parses a sampler's name and the `OTEL_TRACES_SAMPLER_ARG`. `None` if the name is unknown or the argument is not
    /// a ratio.
    #[must_use]
    pub fn parse(name: &str, argument: Option<&str>) -> Option<Self> {
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let bound = match root {
            "always_on" => ALL,
            "always_off" => 0,
            "traceidratio" => bound(argument.map_or(Some(1.0), |text| text.parse().ok())?)?,
            _ => return None,
        };
        Some(Self { parent_based, bound })
    }

    pub(super) fn samples(self, parent: Option<Parent>, trace_id: TraceId) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.sampled,
            _ => last_63_bits(trace_id) < u128::from(self.bound),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "0 to 2⁶³")]
fn bound(ratio: f64) -> Option<u64> {
    (0.0..=1.0).contains(&ratio).then_some((ratio * ALL as f64) as u64)
}

fn last_63_bits(trace_id: TraceId) -> u128 {
    (u128::from_be_bytes(trace_id.to_bytes()) & u128::from(u64::MAX)) >> 1
}

#[cfg(test)]
mod tests {
    use opentelemetry::Context;
    use opentelemetry::trace::{SpanId, SpanKind, TraceContextExt as _, TraceState};
    use opentelemetry_sdk::trace::{Sampler as Sdk, SamplingDecision, ShouldSample as _};

    use super::*;
    use crate::telemetry::traces::ids::Ids;

    fn parent(sampled: bool) -> Parent {
        Parent { trace_id: Ids::random(), span_id: SpanId::from(1), sampled }
    }

    fn sdk(sampler: &Sdk, parent: Option<Parent>, trace_id: TraceId) -> bool {
        let context = parent.map(|parent| Context::new().with_remote_span_context(parent.context(TraceState::NONE)));
        let result = sampler.should_sample(context.as_ref(), trace_id, "", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn decides_as_the_sdk_does() {
        let based = |root: Sdk| Sdk::ParentBased(Box::new(root));
        for (name, argument, theirs) in [
            ("always_on", None, Sdk::AlwaysOn),
            ("always_off", None, Sdk::AlwaysOff),
            ("traceidratio", Some("0.3"), Sdk::TraceIdRatioBased(0.3)),
            ("traceidratio", None, Sdk::TraceIdRatioBased(1.0)),
            ("traceidratio", Some("0"), Sdk::TraceIdRatioBased(0.0)),
            ("parentbased_always_on", None, based(Sdk::AlwaysOn)),
            ("parentbased_always_off", None, based(Sdk::AlwaysOff)),
            ("parentbased_traceidratio", Some("0.3"), based(Sdk::TraceIdRatioBased(0.3))),
        ] {
            let ours = Sampler::parse(name, argument).unwrap();
            for _ in 0..1000 {
                for parent in [None, Some(parent(false)), Some(parent(true))] {
                    let trace_id = parent.map_or_else(Ids::random, |parent| parent.trace_id);
                    assert_eq!(ours.samples(parent, trace_id), sdk(&theirs, parent, trace_id), "{name} {parent:?}");
                }
            }
        }
    }

    #[test]
    fn rejects_other_names_and_arguments() {
        for (name, argument) in [("xray", None), ("", None), ("traceidratio", Some("2")), ("traceidratio", Some("NaN"))]
        {
            assert_eq!(Sampler::parse(name, argument), None, "{name} {argument:?}");
        }
    }
}

use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue};

use crate::domain::Freshness;
use crate::http::problem::Failure;

/// How much of the log of events an answer shows.
pub(crate) const EVENTS_POSITION: HeaderName = HeaderName::from_static("events-position");
/// The same, as a later request sends it.
pub(crate) const AT_LEAST_POSITION: HeaderName = HeaderName::from_static("at-least-position");

/// How fresh the answer has to be, by `Cache-Control` and `At-Least-Position`.
///
/// # Errors
/// When `At-Least-Position` is not one position.
pub(crate) fn freshness(headers: &HeaderMap) -> Result<Freshness, Failure> {
    let detail = "must be one position, as Events-Position has it";
    by_cache_control(headers)
        .at_least(headers.get_all(AT_LEAST_POSITION).map(HeaderValue::as_bytes))
        .map_err(|_| Failure::InvalidHeader { name: "at-least-position", detail })
}

/// How fresh the answer has to be in version 1, which has no positions.
pub(crate) fn by_cache_control(headers: &HeaderMap) -> Freshness {
    Freshness::of_cache_control(headers.get_all(CACHE_CONTROL).map(HeaderValue::as_bytes))
}

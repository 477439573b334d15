//! The headers that say how fresh an answer is.

use actix_web::HttpResponse;
use actix_web::http::header::{AGE, HeaderValue};

use crate::domain::AsOf;
use crate::http::extract::EVENTS_POSITION;

/// Adds `Events-Position`, and `Age` (RFC 9111, 5.1) if the answer may be stale.
pub(super) fn with_freshness<T>(mut response: HttpResponse, answer: &AsOf<T>) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(EVENTS_POSITION, HeaderValue::from(answer.position.0));
    if let Some(age) = answer.age_in_seconds() {
        headers.insert(AGE, HeaderValue::from(age));
    }
    response
}

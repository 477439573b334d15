//! The request's id, which the client and all services that the request passes can share.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::telemetry::RequestId;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The client's id if it sent a valid one, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> (RequestId, HeaderValue) {
    let sent = headers.get(&X_REQUEST_ID);
    let valid = sent.and_then(|value| Some((RequestId::parse(value.as_bytes())?, value.clone())));
    valid.unwrap_or_else(new_id)
}

fn new_id() -> (RequestId, HeaderValue) {
    let id = RequestId::random();
    // Hexadecimal digits are always a valid header.
    let header = HeaderValue::from_str(id.as_str()).unwrap_or_else(|_| HeaderValue::from_static("none"));
    (id, header)
}

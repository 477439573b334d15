use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse};

use crate::auth::{Bearer, Refused};
use crate::domain::IdempotencyKey;
use crate::http::problem::Failure;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that the write was executed earlier, with the same key.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The request's `Idempotency-Key`, if it has one.
pub(crate) struct Idempotency(pub(crate) Option<IdempotencyKey>);

impl FromRequest for Idempotency {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request).map(Self))
    }
}

/// Adds `Idempotency-Replayed: true` to a repetition.
pub(crate) fn with_replay(mut response: HttpResponse, is_replay: bool) -> HttpResponse {
    if is_replay {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn parse(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Failure> {
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return Ok(None);
    }
    // Left there when the request was authorized.
    let bearer = request.extensions().get::<Bearer>().copied().ok_or(Failure::Refused(Refused::NoToken))?;
    let route = [request.method().as_str(), " ", request.match_pattern().as_deref().unwrap_or_default()].concat();
    let values = request.headers().get_all(IDEMPOTENCY_KEY).map(HeaderValue::as_bytes);
    let detail = "must be one string of 1 to 255 visible ASCII characters";
    IdempotencyKey::parse(values, &bearer.id, &route)
        .map_err(|_| Failure::InvalidHeader { name: "idempotency-key", detail })
}

//! The body of a request, read within limits. actix-web enforces the limit of its size, which `server.rs` gives it as
//! `web::PayloadConfig`. This module enforces the limit of its time, and says which limit was exceeded.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use crate::domain;
use crate::http::problem::Failure;

/// The limits of a request body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    pub max_bytes: usize,
    pub timeout: Duration,
}

/// The size that bodies to a resource may have, if that is not the one of [`BodyLimits`].
#[derive(Clone, Copy)]
pub(crate) struct LargeBody {
    pub(crate) max_bytes: usize,
}

/// A kind of body.
pub(crate) trait Format: Sized {
    const MEDIA_TYPE: &'static str;
    /// The header that names the media type in the answer to another one. PATCH has its own (RFC 5789).
    const ACCEPT: &'static str;

    fn parse(bytes: &[u8]) -> Result<Self, Failure>;
}

/// The body of a request, parsed.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: Format> FromRequest for Body<T> {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if !has_media_type(request, T::MEDIA_TYPE) {
            return Box::pin(async {
                Err(Failure::UnsupportedMediaType { accepted: T::MEDIA_TYPE, header: T::ACCEPT })
            });
        }
        if is_encoded(request) {
            return Box::pin(async { Err(Failure::EncodedBody) });
        }
        let large = request.app_data::<LargeBody>().map(|large| large.max_bytes);
        let limits = request.app_data::<BodyLimits>();
        let limits = limits.map(|limits| BodyLimits { max_bytes: large.unwrap_or(limits.max_bytes), ..*limits });
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let limits = limits.ok_or(domain::Error::Internal)?;
            T::parse(&read(bytes, limits).await?).map(Self)
        })
    }
}

/// Whether the body has this media type.
pub(crate) fn has_media_type(request: &HttpRequest, expected: &str) -> bool {
    let sent = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A parameter after the semicolon may name a charset, of which JSON has only one (RFC 8259, 8.1).
    sent.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(expected))
}

/// Whether the body has a content coding. `identity` is none (RFC 9110, 8.4.1): the answer to an encoded body asks for
/// it.
pub(crate) fn is_encoded(request: &HttpRequest) -> bool {
    let is_plain = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    let mut values = request.headers().get_all(CONTENT_ENCODING);
    !values.all(|codings| codings.to_str().is_ok_and(|codings| codings.split(',').map(str::trim).all(is_plain)))
}

async fn read(bytes: impl Future<Output = actix_web::Result<Bytes>>, limits: BodyLimits) -> Result<Bytes, Failure> {
    let Ok(result) = tokio::time::timeout(limits.timeout, bytes).await else {
        return Err(Failure::BodyTimeout);
    };
    result.map_err(|error| match error.as_error() {
        Some(PayloadError::Overflow) => Failure::BodyTooLarge { limit: limits.max_bytes },
        _ => Failure::MalformedBody("it ended early".to_owned()),
    })
}

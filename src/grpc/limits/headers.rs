//! Removes headers of unauthenticated calls. Once parsed, 16 KiB of headers take up to 100 KiB, and 500 bytes on the
//! wire are enough to cause that.

use hyper::body::Incoming;
use tonic::codegen::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use tonic::codegen::http::{HeaderMap, HeaderName, Request, Uri};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// The headers that are read, by authorization, by tonic and by the methods.
const READ: [HeaderName; 11] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_TYPE,
    HeaderName::from_static("at-least-position"),
    GRPC_ENCODING,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];
/// Values kept per header: two are enough to detect a header that must not be repeated.
const MAX_VALUES: usize = 2;

/// More than most calls have.
const FEW: usize = 16;

/// Whether the headers are too few for their removal to pay.
pub(crate) fn has_few_headers(request: &Request<Incoming>) -> bool {
    request.headers().len() <= FEW
}

/// Keeps only the headers that are read before the call is authorized.
pub(crate) fn keep_authorization_headers(mut request: Request<Incoming>) -> Request<Incoming> {
    let headers = std::mem::take(request.headers_mut());
    for name in READ {
        for value in headers.get_all(&name).into_iter().take(MAX_VALUES) {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    request
}

/// Keeps only the path and the headers that tonic needs. For methods that need no token, whose calls may last long.
pub(crate) fn keep_tonic_headers(request: Request<Incoming>) -> Request<Incoming> {
    let (mut head, messages) = request.into_parts();
    let mut request = Request::new(messages);
    *request.uri_mut() = Uri::try_from(head.uri.path()).unwrap_or_default();
    *request.headers_mut() =
        HeaderMap::from_iter(head.headers.remove(GRPC_ENCODING).map(|value| (GRPC_ENCODING, value)));
    request
}

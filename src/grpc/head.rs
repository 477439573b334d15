//! What is kept of a call's head, when its caller is nobody that is known: 16 KiB of headers take up to 100 KiB when they are read,
//! for which 500 bytes are enough to be sent.

use hyper::body::Incoming;
use tonic::codegen::http::header::{AUTHORIZATION, CONTENT_TYPE};
use tonic::codegen::http::{HeaderMap, HeaderName, Request, Uri};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// What is read before it is decided who may call, and by tonic.
const READ: [HeaderName; 7] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    GRPC_ENCODING,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];
/// Of those that may come once: whether there are more.
const SEVERAL: usize = 2;

/// More than most calls have.
const FEW: usize = 16;

/// Whether there is nothing to be gained.
pub(super) fn is_light(request: &Request<Incoming>) -> bool {
    request.headers().len() <= FEW
}

/// The same call with no more headers than are read before it is decided who may call.
pub(super) fn without_unread(mut request: Request<Incoming>) -> Request<Incoming> {
    let headers = std::mem::take(request.headers_mut());
    for name in READ {
        for value in headers.get_all(&name).into_iter().take(SEVERAL) {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    request
}

/// The same call with no more than tonic needs, for what anybody may call: it may last.
pub(super) fn without_read(request: Request<Incoming>) -> Request<Incoming> {
    let (mut head, messages) = request.into_parts();
    let mut request = Request::new(messages);
    *request.uri_mut() = Uri::try_from(head.uri.path()).unwrap_or_default();
    *request.headers_mut() =
        HeaderMap::from_iter(head.headers.remove(GRPC_ENCODING).map(|value| (GRPC_ENCODING, value)));
    request
}

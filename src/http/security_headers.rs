//! What every response tells browsers, so that nothing that a client has stored can be used against another.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

/// Data is not for display: nothing may be loaded or run because of it, and nobody may frame it.
const DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// A page has its own assets only. Swagger UI sets styles from its script, and has images within them.
pub(super) const PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The live page needs less: its scripts set single properties of styles, which no policy forbids.
pub(super) const LIVE_PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Personal data stays in no cache.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers to a response's. A page brings its own policy.
pub(super) fn protect(headers: &mut HeaderMap, over_tls: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, DATA);
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
    if over_tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, A_YEAR);
    }
}

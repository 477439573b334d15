//! Headers that keep browsers from using what one client has stored against another.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

/// The API returns data and no pages: a browser must load or run nothing because of it, and must not show it in a
/// frame.
const DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// No cache stores personal data.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers to those of a response. A page brings its own policy.
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

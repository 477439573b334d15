//! CORS: which web origins' scripts may call the API.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::{Compat, Condition};
use url::Url;

use super::observe::{SERVER_TIMING, TRACEPARENT, TRACESTATE};
use super::request_id::X_REQUEST_ID;
use crate::http::extract::{
    AT_LEAST_POSITION, EVENTS_POSITION, IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, LAST_EVENT_ID, RESUME_AFTER,
};

/// The origins whose scripts may call the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Only the service's own.
    Own,
    /// All. This is harmless because a browser does not send a token by itself, as it does a cookie.
    Any,
    /// Exactly these, besides its own.
    Listed(Vec<String>),
}

impl Origins {
    /// Parses `*`, or origins (RFC 6454, 6.1) separated by commas, such as `https://example.com`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "" => Some(Self::Own),
            "*" => Some(Self::Any),
            list => list.split(',').map(|origin| parse_origin(origin.trim())).collect::<Option<_>>().map(Self::Listed),
        }
    }
}

/// Accepts an origin only as browsers write it: without a path, user name or default port. Case does not matter.
fn parse_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let origin = url.origin().ascii_serialization();
    let is_web = matches!(url.scheme(), "http" | "https") && text.starts_with(url.scheme());
    (is_web && !origin.contains('*') && origin == text.to_ascii_lowercase()).then_some(origin)
}

/// How long a browser may cache the answer to a preflight request, in seconds.
const MAX_AGE: usize = 3600;

/// The middleware that adds CORS headers.
#[must_use]
pub fn cors(origins: &Origins) -> Compat<Condition<Cors>> {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::CACHE_CONTROL,
            AT_LEAST_POSITION,
            IDEMPOTENCY_KEY,
            LAST_EVENT_ID,
            // Traces that start in the browser (W3C Trace Context and Baggage).
            TRACEPARENT,
            TRACESTATE,
            HeaderName::from_static("baggage"),
            X_REQUEST_ID,
            SERVER_TIMING,
        ])
        .expose_headers([
            header::AGE,
            header::ETAG,
            EVENTS_POSITION,
            RESUME_AFTER,
            IDEMPOTENCY_REPLAYED,
            header::LOCATION,
            header::LINK,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            X_REQUEST_ID,
            SERVER_TIMING,
        ])
        .max_age(MAX_AGE);
    let cors = match origins {
        Origins::Own => cors,
        Origins::Any => cors.allow_any_origin().send_wildcard(),
        Origins::Listed(origins) => origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin)),
    };
    Compat::new(Condition::new(*origins != Origins::Own, cors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_an_optional_port() {
        let listed = |origins: &[&str]| Some(Origins::Listed(origins.iter().map(ToString::to_string).collect()));
        assert_eq!(Origins::parse(""), Some(Origins::Own));
        assert_eq!(Origins::parse("*"), Some(Origins::Any));
        assert_eq!(
            Origins::parse("https://a.example, http://LOCALHOST:8080"),
            listed(&["https://a.example", "http://localhost:8080"])
        );
        for text in [
            "a.example",
            "https://a.example/",
            "https://*.a.example",
            "https://a.example:443",
            "ftp://a.example",
            "https://u@a.example",
            "null",
            "*,https://a.example",
            "https://a.example,",
        ] {
            assert_eq!(Origins::parse(text), None, "{text}");
        }
    }
}

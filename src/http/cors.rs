//! Which web sites' scripts may call the API (CORS).

use actix_cors::Cors;
use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, Uri};
use actix_web::middleware::{Compat, Condition};

use super::request_id::X_REQUEST_ID;
use super::v2::LAST_EVENT_ID;

/// Whose scripts may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Nobody's but those of this origin.
    Own,
    /// Everybody's. Harmless in that a token is never sent by a browser of its own accord, as a cookie is.
    Any,
    /// Those of these origins.
    These(Vec<String>),
}

impl Origins {
    /// Reads `*`, or origins (RFC 6454, 6.1) between commas, such as `https://example.com`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "" => Some(Self::Own),
            "*" => Some(Self::Any),
            list => list.split(',').map(|origin| parse_origin(origin.trim())).collect::<Option<_>>().map(Self::These),
        }
    }
}

fn parse_origin(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    // As browsers write it, the scheme's own port is left out.
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let is_origin = text == format!("{scheme}://{authority}") && !authority.as_str().contains(['@', '*']);
    (is_origin && authority.port_u16() != Some(usual)).then(|| text.to_ascii_lowercase())
}

/// How long a browser may remember what it was told, in seconds.
const MAX_AGE: usize = 3600;

/// The middleware that tells browsers.
#[must_use]
pub fn cors(origins: &Origins) -> Compat<Condition<Cors>> {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            LAST_EVENT_ID,
            // What those send who trace what a person does from the browser on (W3C Trace Context and Baggage).
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("tracestate"),
            HeaderName::from_static("baggage"),
            X_REQUEST_ID,
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::LINK,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            X_REQUEST_ID,
        ])
        .max_age(MAX_AGE);
    let cors = match origins {
        Origins::Own => cors,
        Origins::Any => cors.allow_any_origin().send_wildcard(),
        Origins::These(origins) => origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin)),
    };
    Compat::new(Condition::new(*origins != Origins::Own, cors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        let these = |origins: &[&str]| Some(Origins::These(origins.iter().map(ToString::to_string).collect()));
        assert_eq!(Origins::parse(""), Some(Origins::Own));
        assert_eq!(Origins::parse("*"), Some(Origins::Any));
        assert_eq!(
            Origins::parse("https://a.example, http://LOCALHOST:8080"),
            these(&["https://a.example", "http://localhost:8080"])
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

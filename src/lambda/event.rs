//! A Lambda event, and the HTTP request that it describes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use actix_http::{Payload, Request, h1};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::form_urlencoded;

use super::answer::Shape;

/// What a query as it is sent cannot hold (RFC 9112, 3.2).
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'`');
/// And what a path cannot. API Gateway decodes some of it.
const NOT_IN_A_PATH: &AsciiSet = &NOT_IN_A_QUERY.add(b'?');
/// The stage that is no part of any path.
const DEFAULT_STAGE: &str = "$default";
const FORWARDED_FOR: &str = "x-forwarded-for";

type Values<T> = BTreeMap<String, Option<T>>;

/// What the events of API Gateway, function URLs and Application Load Balancers have of a request. Any part may be
/// missing, or null.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    request_context: Context,
    http_method: Option<String>,
    path: Option<String>,
    /// Version 2 has it as it was sent.
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    query_string_parameters: Option<Values<String>>,
    multi_value_query_string_parameters: Option<Values<Vec<String>>>,
    headers: Option<Values<String>>,
    multi_value_headers: Option<Values<Vec<String>>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

/// Tells who called.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    elb: Option<IgnoredAny>,
    http: Option<Http>,
    stage: Option<String>,
    identity: Option<Identity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    source_ip: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: Option<String>,
}

impl Event {
    /// Reads JSON. `None` when it tells of no request.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let event: Self = serde_json::from_slice(json).ok()?;
        let is_known = event.http_method.is_some() || event.request_context.http.is_some();
        is_known.then_some(event)
    }

    /// Of the answer that is wanted.
    pub(super) const fn shape(&self) -> Shape {
        match &self.request_context {
            Context { elb: Some(_), .. } => Shape::LoadBalancer,
            Context { http: Some(_), .. } => Shape::ApiGatewayV2,
            Context { .. } => Shape::ApiGatewayV1,
        }
    }

    /// The request. `None` when it is none that HTTP could carry.
    pub(super) fn request(self) -> Option<Request> {
        let (uri, headers) = (self.uri()?, self.headers()?);
        let peer = self.peer(&headers);
        let method = self.request_context.http.map(|http| http.method).or(self.http_method)?;
        let mut request = Request::with_payload(payload(self.body, self.is_base64_encoded.unwrap_or_default())?);
        let head = request.head_mut();
        head.method = Method::from_bytes(method.as_bytes()).ok()?;
        head.uri = uri;
        head.headers = headers;
        head.peer_addr = peer;
        Some(request)
    }

    /// The path without the stage of the API, which its routes do not know, and the query.
    fn uri(&self) -> Option<Uri> {
        let path = self.path();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = utf8_percent_encode(path, NOT_IN_A_PATH);
        let query = self.query();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{slash}{path}{mark}{}", utf8_percent_encode(&query, NOT_IN_A_QUERY)).parse().ok()
    }

    /// Version 2 begins it with the stage, if that has a name. In version 1 it comes without, so that a stage which is
    /// named like the beginning of a route must not be taken off.
    fn path(&self) -> &str {
        let Some(path) = self.raw_path.as_deref() else { return self.path.as_deref().unwrap_or_default() };
        let stage = self.request_context.stage.as_deref().filter(|stage| *stage != DEFAULT_STAGE);
        let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
        rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
    }

    fn query(&self) -> String {
        if let Some(query) = &self.raw_query_string {
            return query.clone();
        }
        let pairs = each(self.multi_value_query_string_parameters.as_ref(), self.query_string_parameters.as_ref());
        if matches!(self.shape(), Shape::LoadBalancer) {
            // It hands on names and values as they were sent.
            return Vec::from_iter(pairs.map(|(name, value)| format!("{name}={value}"))).join("&");
        }
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    fn headers(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in each(self.multi_value_headers.as_ref(), self.headers.as_ref()) {
            headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?);
        }
        Some(headers)
    }

    /// The client, as whoever called Lambda saw it.
    fn peer(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        let Context { http, identity, .. } = &self.request_context;
        let address = match self.shape() {
            Shape::ApiGatewayV1 => identity.as_ref()?.source_ip.as_deref(),
            Shape::ApiGatewayV2 => http.as_ref()?.source_ip.as_deref(),
            // The load balancer adds what it saw after what the client may have made up, with the port if it is told
            // to.
            Shape::LoadBalancer => headers.get_all(FORWARDED_FOR).last()?.to_str().ok()?.rsplit(',').next(),
        };
        let address = address?.trim();
        address.parse::<IpAddr>().map(|address| SocketAddr::new(address, 0)).or_else(|_| address.parse()).ok()
    }
}

/// Every name with each of its values. Who tells of several values for a name tells of all names so.
fn each<'a>(
    several: Option<&'a Values<Vec<String>>>,
    one: Option<&'a Values<String>>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let several = several.filter(|several| !several.is_empty());
    let one = one.filter(|_| several.is_none()).into_iter().flatten();
    let one = one.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
    let several = several
        .into_iter()
        .flatten()
        .flat_map(|(name, values)| values.iter().flatten().map(move |value| (name.as_str(), value.as_str())));
    several.chain(one)
}

fn payload(body: Option<String>, is_base64: bool) -> Option<Payload> {
    let body = body.unwrap_or_default();
    let bytes = if is_base64 { Bytes::from(STANDARD.decode(body).ok()?) } else { Bytes::from(body) };
    let (_, mut payload) = h1::Payload::create(true);
    payload.unread_data(bytes);
    Some(payload.into())
}

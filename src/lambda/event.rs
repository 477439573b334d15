//! An event as the HTTP request that it carries.

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

use super::response::Shape;

/// Characters that a query in a request line cannot hold (RFC 9112, 3.2).
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'`');
/// Characters that a path cannot hold. API Gateway decodes some of them.
const NOT_IN_A_PATH: &AsciiSet = &NOT_IN_A_QUERY.add(b'?');
/// The stage that API Gateway leaves out of paths.
const DEFAULT_STAGE: &str = "$default";
const FORWARDED_FOR: &str = "x-forwarded-for";

type Values<T> = BTreeMap<String, Option<T>>;

/// The fields in which events of API Gateway, function URLs and Application Load Balancers carry a request. Any field
/// may be missing or null.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    request_context: Context,
    http_method: Option<String>,
    path: Option<String>,
    /// The path as the client sent it, in version 2 only.
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    query_string_parameters: Option<Values<String>>,
    multi_value_query_string_parameters: Option<Values<Vec<String>>>,
    headers: Option<Values<String>>,
    multi_value_headers: Option<Values<Vec<String>>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

/// What invoked Lambda, and for whom.
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
    /// Parses JSON. `None` if it is not an event that carries a request.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let event: Self = serde_json::from_slice(json).ok()?;
        let is_known = event.http_method.is_some() || event.request_context.http.is_some();
        is_known.then_some(event)
    }

    /// The form that the response must have.
    pub(super) const fn shape(&self) -> Shape {
        match &self.request_context {
            Context { elb: Some(_), .. } => Shape::LoadBalancer,
            Context { http: Some(_), .. } => Shape::ApiGatewayV2,
            Context { .. } => Shape::ApiGatewayV1,
        }
    }

    /// The request. `None` if HTTP could not carry it.
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

    /// The path, without the API's stage, and the query.
    fn uri(&self) -> Option<Uri> {
        let path = self.path();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = utf8_percent_encode(path, NOT_IN_A_PATH);
        let query = self.query();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{slash}{path}{mark}{}", utf8_percent_encode(&query, NOT_IN_A_QUERY)).parse().ok()
    }

    /// In version 2, the path starts with the stage if that has a name. In version 1 it does not, so nothing may be
    /// stripped there: the stage may have the name of a route's first segment.
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
        let pairs = pairs(self.multi_value_query_string_parameters.as_ref(), self.query_string_parameters.as_ref());
        if matches!(self.shape(), Shape::LoadBalancer) {
            // It passes names and values on as the client sent them.
            return Vec::from_iter(pairs.map(|(name, value)| format!("{name}={value}"))).join("&");
        }
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    fn headers(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs(self.multi_value_headers.as_ref(), self.headers.as_ref()) {
            headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?);
        }
        Some(headers)
    }

    /// The client's address, as the gateway or load balancer saw it.
    fn peer(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        let Context { http, identity, .. } = &self.request_context;
        let address = match self.shape() {
            Shape::ApiGatewayV1 => identity.as_ref()?.source_ip.as_deref(),
            Shape::ApiGatewayV2 => http.as_ref()?.source_ip.as_deref(),
            // The load balancer appends the address, after addresses that the client may have made up. It can be
            // configured to add the port.
            Shape::LoadBalancer => headers.get_all(FORWARDED_FOR).last()?.to_str().ok()?.rsplit(',').next(),
        };
        let address = address?.trim();
        address.parse::<IpAddr>().map(|address| SocketAddr::new(address, 0)).or_else(|_| address.parse()).ok()
    }
}

/// All pairs of a name and a value. An event that has the field for several values has all its pairs there.
fn pairs<'a>(
    multiple: Option<&'a Values<Vec<String>>>,
    single: Option<&'a Values<String>>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let multiple = multiple.filter(|multiple| !multiple.is_empty());
    let single = single.filter(|_| multiple.is_none()).into_iter().flatten();
    let single = single.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
    let multiple = multiple
        .into_iter()
        .flatten()
        .flat_map(|(name, values)| values.iter().flatten().map(move |value| (name.as_str(), value.as_str())));
    multiple.chain(single)
}

fn payload(body: Option<String>, is_base64: bool) -> Option<Payload> {
    let body = body.unwrap_or_default();
    let bytes = if is_base64 { Bytes::from(STANDARD.decode(body).ok()?) } else { Bytes::from(body) };
    let (_, mut payload) = h1::Payload::create(true);
    payload.unread_data(bytes);
    Some(payload.into())
}

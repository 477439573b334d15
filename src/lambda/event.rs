//! An event as the request that it tells of.

use std::net::{IpAddr, SocketAddr};

use actix_http::{Payload, Request, h1};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::web::Bytes;
use lambda_http::request::{RequestContext, from_reader};
use lambda_http::{Body, RequestExt as _};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::answer::Shape;

/// What a path as it is sent cannot hold (RFC 9112, 3.2); API Gateway decodes some of it.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`');
/// The stage that is no part of any path.
const DEFAULT_STAGE: &str = "$default";
const FORWARDED_FOR: &str = "x-forwarded-for";

pub(super) struct Event {
    pub(super) request: Request,
    /// Of the answer that is wanted.
    pub(super) shape: Shape,
}

impl Event {
    /// Reads JSON. `None` when it tells of no request that HTTP knows.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let event = from_reader(json).ok()?;
        let context = event.request_context_ref()?;
        let shape = match context {
            RequestContext::ApiGatewayV1(_) => Shape::ApiGatewayV1,
            RequestContext::ApiGatewayV2(_) => Shape::ApiGatewayV2,
            RequestContext::Alb(_) => Shape::LoadBalancer,
            _ => return None,
        };
        let (uri, peer) = (uri(&event, context)?, peer(&event, context));
        let (head, body) = event.into_parts();
        let mut request = Request::with_payload(payload(body));
        let to = request.head_mut();
        to.uri = uri;
        // These are of another version of the crate `http` than actix has.
        to.method = Method::from_bytes(head.method.as_str().as_bytes()).ok()?;
        for (name, value) in &head.headers {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            to.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        to.peer_addr = peer.map(|address| SocketAddr::new(address, 0));
        Some(Self { request, shape })
    }
}

fn payload(body: Body) -> Payload {
    let bytes = match body {
        Body::Text(text) => Bytes::from(text),
        Body::Binary(bytes) => Bytes::from(bytes),
        _ => Bytes::new(),
    };
    let (_, mut payload) = h1::Payload::create(true);
    payload.unread_data(bytes);
    payload.into()
}

/// The path that was asked for, without the stage of the API, which its routes do not know.
fn uri(event: &lambda_http::Request, context: &RequestContext) -> Option<Uri> {
    let path = without_stage(event.raw_http_path(), context);
    let mut target = utf8_percent_encode(path, NOT_IN_A_PATH).to_string();
    if !target.starts_with('/') {
        target.insert(0, '/');
    }
    if let Some(query) = event.uri().query() {
        target = format!("{target}?{query}");
    }
    target.parse().ok()
}

/// API Gateway v2 begins the path with the stage, if it has a name. With v1 it comes without, so that a stage which is named
/// like the beginning of a route must not be taken off.
fn without_stage<'a>(path: &'a str, context: &RequestContext) -> &'a str {
    let RequestContext::ApiGatewayV2(context) = context else { return path };
    let stage = context.stage.as_deref().filter(|stage| *stage != DEFAULT_STAGE);
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
}

/// The client, as whoever called Lambda saw it.
fn peer(event: &lambda_http::Request, context: &RequestContext) -> Option<IpAddr> {
    let address = match context {
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.as_deref(),
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
        // The load balancer adds what it saw after what the client may have made up.
        _ => event.headers().get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?.rsplit(',').next(),
    };
    address?.trim().parse().ok()
}

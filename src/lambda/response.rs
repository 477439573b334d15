//! A response as Lambda takes it: whole, and in JSON.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{CONTENT_ENCODING, HeaderMap};
use actix_web::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

/// How long a stream without an end is collected. The client reconnects for the rest.
const STREAM_TIMEOUT: Duration = Duration::from_secs(1);
/// From how many bytes on no more of a stream is collected. An Application Load Balancer takes no response above 1 MB.
const MAX_STREAM_BYTES: usize = 256 << 10;

/// The form of a response, which depends on what invoked Lambda.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    ApiGatewayV1,
    /// Also for function URLs.
    ApiGatewayV2,
    LoadBalancer,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    /// The values of a repeated header are joined by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<Map<String, Value>>,
    /// Always empty: the service sets no cookies. AWS accepts a response without this field, but its types for Rust,
    /// and so `cargo lambda`, do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<[&'static str; 0]>,
    body: String,
    is_base64_encoded: bool,
}

impl Response {
    /// The response to an event that HTTP could not carry as a request. An HTTP server answers the same.
    pub(super) fn bad_request(shape: Shape) -> Self {
        Self::new(shape, StatusCode::BAD_REQUEST, &HeaderMap::new(), Vec::new())
    }

    /// Collects a response of the application.
    ///
    /// # Errors
    /// When its body ends early.
    pub(super) async fn collect(shape: Shape, response: ServiceResponse<BoxBody>) -> Result<Self, actix_web::Error> {
        let is_head = *response.request().method() == Method::HEAD;
        let (head, body) = response.into_parts().1.into_parts();
        let body = if is_head { Vec::new() } else { collect_body(body).await? };
        Ok(Self::new(shape, head.status(), head.headers(), body))
    }

    fn new(shape: Shape, status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Self {
        let (body, is_base64_encoded) = as_text(body, headers);
        Self {
            status_code: status.as_u16(),
            status_description: matches!(shape, Shape::LoadBalancer).then(|| status.to_string()),
            // API Gateway v1 sends the headers of both fields. A load balancer uses one of the two, depending on its
            // configuration.
            headers: (!matches!(shape, Shape::ApiGatewayV1)).then(|| joined(headers)),
            multi_value_headers: (!matches!(shape, Shape::ApiGatewayV2)).then(|| listed(headers)),
            cookies: matches!(shape, Shape::ApiGatewayV2).then_some([]),
            body,
            is_base64_encoded,
        }
    }
}

async fn collect_body(mut body: BoxBody) -> Result<Vec<u8>, actix_web::Error> {
    let is_stream = matches!(body.size(), BodySize::Stream);
    let (end, mut collected) = (Instant::now() + STREAM_TIMEOUT, Vec::new());
    while !is_stream || collected.len() < MAX_STREAM_BYTES {
        let chunk = poll_fn(|cx| Pin::new(&mut body).poll_next(cx));
        let chunk = if is_stream { timeout_at(end, chunk).await.unwrap_or(None) } else { chunk.await };
        match chunk {
            Some(chunk) => collected.extend_from_slice(&chunk.map_err(|_| PayloadError::Incomplete(None))?),
            None => break,
        }
    }
    Ok(collected)
}

/// The body as text, and whether that is base64.
fn as_text(body: Vec<u8>, headers: &HeaderMap) -> (String, bool) {
    if headers.contains_key(CONTENT_ENCODING) {
        return (STANDARD.encode(body), true);
    }
    match String::from_utf8(body) {
        Ok(text) => (text, false),
        Err(error) => (STANDARD.encode(error.as_bytes()), true),
    }
}

fn joined(headers: &HeaderMap) -> Map<String, Value> {
    let values = headers.keys().map(|name| (name.to_string(), values(headers, name.as_str()).join(", ").into()));
    values.collect()
}

fn listed(headers: &HeaderMap) -> Map<String, Value> {
    headers.keys().map(|name| (name.to_string(), values(headers, name.as_str()).into())).collect()
}

fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

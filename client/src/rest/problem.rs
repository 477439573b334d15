//! Reads problem details (RFC 9457).

use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;

use crate::call::X_REQUEST_ID;
use crate::problem::{Code, FieldError, Problem};

/// The problem in a response. `None` if it did not come from the service.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Problem> {
    let text = |name: &http::HeaderName| headers.get(name)?.to_str().ok();
    if !text(&CONTENT_TYPE)?.starts_with("application/problem+json") {
        return None;
    }
    let json: Json = serde_json::from_slice(body).ok()?;
    // Problem details of other services may have a `code` too.
    if json.r#type != format!("urn:user-service:problem:{}", json.code) {
        return None;
    }
    Some(Problem {
        code: Code::parse(&json.code),
        detail: json.detail,
        fields: json.errors.into_iter().map(FieldError::from).collect(),
        trace_id: json.trace_id,
        request_id: text(&X_REQUEST_ID).unwrap_or_default().to_owned(),
        retry_after: text(&RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs),
    })
}

/// The members that the client reads.
#[derive(Deserialize)]
struct Json {
    r#type: String,
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<JsonField>,
    trace_id: Option<String>,
}

#[derive(Deserialize)]
struct JsonField {
    pointer: String,
    detail: String,
}

impl From<JsonField> for FieldError {
    /// The field is the first token of the pointer (RFC 6901), since the service's bodies are flat.
    fn from(JsonField { pointer, detail }: JsonField) -> Self {
        let token = pointer.strip_prefix('/').unwrap_or(&pointer);
        Self { field: token.replace("~1", "/").replace("~0", "~"), detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        headers.insert(X_REQUEST_ID, "abc".parse().unwrap());
        headers
    }

    const BODY: &str = r#"{"type":"urn:user-service:problem:invalid_user","title":"Unprocessable Entity","status":422,
        "detail":"the user is not valid","instance":"/api/v2/users","code":"invalid_user","new":[],
        "errors":[{"pointer":"/a~1b~0c","detail":"is not a known field"},{"pointer":"","detail":"must be an object"}],
        "trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}"#;

    #[test]
    fn all_members_are_read() {
        let problem = read(&headers("application/problem+json"), BODY.as_bytes()).unwrap();
        let field = |field: &str, detail: &str| FieldError { field: field.into(), detail: detail.into() };
        let expected = Problem {
            code: Code::InvalidUser,
            detail: "the user is not valid".into(),
            fields: vec![field("a/b~c", "is not a known field"), field("", "must be an object")],
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            request_id: "abc".into(),
            retry_after: Some(Duration::from_secs(7)),
        };
        assert_eq!(problem, expected);
    }

    #[test]
    fn problems_of_other_services_are_ignored() {
        assert_eq!(read(&headers("application/json"), BODY.as_bytes()), None);
        for body in ["", "<html>", "{}", &BODY.replace("urn:user-service", "urn:gateway"), &BODY[..50]] {
            assert_eq!(read(&headers("application/problem+json"), body.as_bytes()), None, "{body}");
        }
    }
}

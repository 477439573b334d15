//! Reads problem details (RFC 9457).

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;

use crate::call::X_REQUEST_ID;
use crate::pointer;
use crate::problem::{Code, Problem};

/// The problem in a response. `None` if it did not come from the service.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Problem> {
    if !text(headers, &CONTENT_TYPE)?.starts_with("application/problem+json") {
        return None;
    }
    serde_json::from_slice::<ProblemJson>(body).ok()?.into_problem(headers)
}

/// The members that the client reads.
#[derive(Deserialize)]
pub(super) struct ProblemJson {
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

impl ProblemJson {
    /// The problem, in a response with these headers. `None` if it did not come from the service.
    pub(super) fn into_problem(self, headers: &HeaderMap) -> Option<Problem> {
        // Problem details of other services may have a `code` too.
        if self.r#type != format!("urn:user-service:problem:{}", self.code) {
            return None;
        }
        let read = |JsonField { pointer, detail }| pointer::read(&pointer, detail);
        let (operations, fields): (Vec<_>, Vec<_>) = self.errors.into_iter().map(read).unzip();
        Some(Problem {
            code: Code::parse(&self.code),
            detail: self.detail,
            fields,
            operation: operations.into_iter().flatten().next(),
            trace_id: self.trace_id,
            request_id: text(headers, &X_REQUEST_ID).unwrap_or_default().to_owned(),
            retry_after: text(headers, &RETRY_AFTER).and_then(|it| it.parse().ok()).map(Duration::from_secs),
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
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
        let field = |pointer: &str, detail: &str| pointer::read(pointer, detail.into()).1;
        let expected = Problem {
            code: Code::InvalidUser,
            detail: "the user is not valid".into(),
            fields: vec![field("/a~1b~0c", "is not a known field"), field("", "must be an object")],
            operation: None,
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

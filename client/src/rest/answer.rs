use http::{HeaderMap, StatusCode};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;

use super::problem;
use crate::error::Failed;
use crate::token::BoxError;

/// A complete response with a status of success.
pub(super) struct Answer {
    status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub(super) async fn of(request: RequestBuilder) -> Result<Self, Failed> {
        let response = begin(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(no_answer)?;
        Ok(Self { status, headers, body: body.into() })
    }

    /// Reads the JSON body of a response with this status. The service would not send any other status of success, but
    /// it may have executed the request nonetheless.
    pub(super) fn json<T: DeserializeOwned>(&self, status: u16) -> Result<T, Failed> {
        self.expect(status)?;
        serde_json::from_slice(&self.body).map_err(|error| Failed::NoAnswer(error.into()))
    }

    pub(super) fn empty(&self, status: u16) -> Result<(), Failed> {
        self.expect(status)
    }

    fn expect(&self, status: u16) -> Result<(), Failed> {
        if self.status == status {
            return Ok(());
        }
        Err(Failed::NoAnswer(format!("{} instead of {status}", self.status).into()))
    }
}

/// Sends a request and returns the response without its body, or the failure that the response reports.
pub(super) async fn begin(request: RequestBuilder) -> Result<Response, Failed> {
    let response = request.send().await.map_err(send_error)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let body = response.bytes().await.map_err(no_answer)?;
    Err(failure(status, &headers, &body))
}

fn failure(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failed {
    match problem::read(headers, body) {
        Some(problem) => Failed::Problem(Box::new(problem)),
        None if status == StatusCode::TOO_MANY_REQUESTS => Failed::HeldUp(from_gateway(status)),
        None if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            Failed::NoAnswer(from_gateway(status))
        }
        None => Failed::foreign(status.to_string()),
    }
}

fn from_gateway(status: StatusCode) -> BoxError {
    format!("{status}, not by the service").into()
}

fn send_error(error: reqwest::Error) -> Failed {
    if error.is_builder() {
        return Failed::foreign(error.to_string());
    }
    if error.is_connect() { Failed::NotSent(error.into()) } else { no_answer(error) }
}

fn no_answer(error: reqwest::Error) -> Failed {
    Failed::NoAnswer(error.into())
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;
    use crate::call::Kind;

    /// Whether a call is retried after a response that is not the service's. A change may always have been made.
    #[test]
    fn only_the_service_can_say_that_nothing_was_executed() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        for (status, is_retried) in [
            (301, false),
            (307, false),
            (403, false),
            (404, false),
            (408, true),
            (429, true),
            (502, true),
            (503, true),
            (504, true),
        ] {
            let failed = failure(StatusCode::from_u16(status).unwrap(), &headers, br#"{"code":"overloaded"}"#);
            assert_eq!(failed.may_retry(), is_retried, "{status}");
            let error = failed.into_error(Kind::Write, "1".parse().unwrap());
            assert!(matches!(error, crate::Error::OutcomeUnknown { .. }), "{status}");
        }
    }
}

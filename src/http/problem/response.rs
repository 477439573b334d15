use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::details::{CONTENT, Problem};
use super::failure::Failure;
use super::v1_error::V1Error;

/// Makes the response for a failure, in the form of the API version that the request is for.
pub(crate) fn error_response(failure: &Failure, request: &HttpRequest) -> HttpResponse {
    let is_v1 = request.path().starts_with("/api/v1/");
    let mut response = if is_v1 { v1_error(failure) } else { problem(failure, request) };
    if let Some((name, value)) = failure.header()
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

fn problem(failure: &Failure, request: &HttpRequest) -> HttpResponse {
    let problem = Problem::new(failure, request.path());
    let mut response = HttpResponse::build(failure.status_and_code().0).json(problem);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
    response
}

fn v1_error(failure: &Failure) -> HttpResponse {
    HttpResponse::build(V1Error::status(failure)).json(V1Error::new(failure))
}

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::http::failure::Failure;

/// Why a request failed.
#[derive(Serialize, ToSchema)]
#[schema(as = v1::Error)]
pub(in crate::http) struct ErrorBody {
    #[schema(example = "another user has this email")]
    error: String,
}

/// Makes the response for a failure.
pub(in crate::http) fn error_response(failure: &Failure) -> HttpResponse {
    let status = match failure.status_and_code().0 {
        // Version 1 knows one word for whatever is wrong with a body.
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let fields = Vec::from_iter(failure.fields().iter().map(ToString::to_string));
    let error = if fields.is_empty() { failure.to_string() } else { fields.join("; ") };
    HttpResponse::build(status).json(ErrorBody { error })
}

/// What every route may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described, never made: `error_response` makes the responses")]
pub(in crate::http) enum Failures {
    /// Something in the request is malformed or invalid.
    #[response(status = BAD_REQUEST)]
    BadRequest(ErrorBody),
    /// No token, or one that does not do.
    #[response(status = UNAUTHORIZED, headers(("WWW-Authenticate" = String, description = "What is needed (RFC 6750).")))]
    Unauthorized(ErrorBody),
    /// The token lacks the scope for this.
    #[response(status = FORBIDDEN, headers(("WWW-Authenticate" = String, description = "What is needed (RFC 6750).")))]
    Forbidden(ErrorBody),
    /// More requests than one client is allowed.
    #[response(status = TOO_MANY_REQUESTS, headers(("Retry-After" = u32, description = "Seconds.")))]
    TooManyRequests(ErrorBody),
    /// The target and the headers are too large.
    #[response(status = REQUEST_HEADER_FIELDS_TOO_LARGE)]
    HeadTooLarge(ErrorBody),
    /// A fault of the service; nothing was changed.
    #[response(status = INTERNAL_SERVER_ERROR)]
    Internal(ErrorBody),
    /// Not executed: the service is overloaded or has no database.
    #[response(status = SERVICE_UNAVAILABLE, headers(("Retry-After" = u32, description = "Seconds.")))]
    Unavailable(ErrorBody),
}

/// What a route that writes may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described, never made: `error_response` makes the responses")]
pub(in crate::http) enum WriteFailures {
    /// The answer of the database was lost: the change may or may not have happened.
    #[response(status = GATEWAY_TIMEOUT)]
    OutcomeUnknown(ErrorBody),
}

/// What a route that takes a body may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described, never made: `error_response` makes the responses")]
pub(in crate::http) enum BodyFailures {
    /// The body did not arrive in time.
    #[response(status = REQUEST_TIMEOUT)]
    Timeout(ErrorBody),
    /// Another user has this email.
    #[response(status = CONFLICT)]
    EmailTaken(ErrorBody),
    /// The body is too large.
    #[response(status = PAYLOAD_TOO_LARGE)]
    TooLarge(ErrorBody),
    /// The body is not JSON.
    #[response(status = UNSUPPORTED_MEDIA_TYPE, headers(("Accept" = String, description = "What it must be.")))]
    MediaType(ErrorBody),
}

//! What goes wrong, as the API's description tells it; [`crate::http::problem`] makes the responses.
#![expect(dead_code, reason = "only described, never made")]

use utoipa::IntoResponses;

use crate::http::problem::Problem;

/// What every route may answer.
#[derive(IntoResponses)]
pub(super) enum Failures {
    /// Something in the request is malformed.
    #[response(status = BAD_REQUEST, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// No token, or one that does not do.
    #[response(status = UNAUTHORIZED, content_type = "application/problem+json",
        headers(("WWW-Authenticate" = String, description = "What is needed (RFC 6750).")))]
    Unauthorized(Problem),
    /// The token lacks the scope for this.
    #[response(status = FORBIDDEN, content_type = "application/problem+json",
        headers(("WWW-Authenticate" = String, description = "What is needed (RFC 6750).")))]
    Forbidden(Problem),
    /// More requests than one client is allowed.
    #[response(status = TOO_MANY_REQUESTS, content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds.")))]
    TooManyRequests(Problem),
    /// The target and the headers are too large.
    #[response(status = REQUEST_HEADER_FIELDS_TOO_LARGE, content_type = "application/problem+json")]
    HeadTooLarge(Problem),
    /// A fault of the service; nothing was changed.
    #[response(status = INTERNAL_SERVER_ERROR, content_type = "application/problem+json")]
    Internal(Problem),
    /// Not executed: the service is overloaded or has no database.
    #[response(status = SERVICE_UNAVAILABLE, content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds.")))]
    Unavailable(Problem),
}

/// What a route that names a user may answer.
#[derive(IntoResponses)]
pub(super) enum UserFailures {
    /// No user has this id.
    #[response(status = NOT_FOUND, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// What a route that takes a condition may answer.
#[derive(IntoResponses)]
pub(super) enum ConditionFailures {
    /// The user has changed since the version in `If-Match`.
    #[response(status = PRECONDITION_FAILED, content_type = "application/problem+json")]
    VersionMismatch(Problem),
}

/// What a route that goes on where a client was may answer.
#[derive(IntoResponses)]
pub(super) enum ResumeFailures {
    /// Events after the last one that the client has seen are forgotten, or it has seen those of another database.
    #[response(status = GONE, content_type = "application/problem+json")]
    EventsGone(Problem),
}

/// What a route that writes may answer.
#[derive(IntoResponses)]
pub(super) enum WriteFailures {
    /// The answer of the database was lost: the change may or may not have happened.
    #[response(status = GATEWAY_TIMEOUT, content_type = "application/problem+json")]
    OutcomeUnknown(Problem),
}

/// What a route that takes a body may answer.
#[derive(IntoResponses)]
pub(super) enum BodyFailures {
    /// The body did not arrive in time.
    #[response(status = REQUEST_TIMEOUT, content_type = "application/problem+json")]
    Timeout(Problem),
    /// Another user has this email.
    #[response(status = CONFLICT, content_type = "application/problem+json")]
    EmailTaken(Problem),
    /// The body is too large.
    #[response(status = PAYLOAD_TOO_LARGE, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is JSON, but no valid user.
    #[response(status = UNPROCESSABLE_ENTITY, content_type = "application/problem+json")]
    Invalid(Problem),
}

/// What a route that takes JSON may answer.
#[derive(IntoResponses)]
pub(super) enum JsonFailures {
    /// The body is of another media type.
    #[response(status = UNSUPPORTED_MEDIA_TYPE, content_type = "application/problem+json",
        headers(("Accept" = String, description = "What it must be.")))]
    MediaType(Problem),
}

/// What a route that takes a merge patch may answer.
#[derive(IntoResponses)]
pub(super) enum PatchFailures {
    /// The body is of another media type.
    #[response(status = UNSUPPORTED_MEDIA_TYPE, content_type = "application/problem+json",
        headers(("Accept-Patch" = String, description = "What it must be (RFC 5789).")))]
    MediaType(Problem),
}

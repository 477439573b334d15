//! The error responses of version 1, as the API's description lists them.
#![expect(dead_code, reason = "they only describe what `crate::http::problem` makes")]

use utoipa::IntoResponses;

use crate::http::problem::V1Error;

/// The error responses of every route.
#[derive(IntoResponses)]
pub(super) enum CommonErrors {
    /// Something in the request is malformed or invalid.
    #[response(status = BAD_REQUEST)]
    BadRequest(V1Error),
    /// The request has no token, or an invalid one.
    #[response(status = UNAUTHORIZED, headers(("WWW-Authenticate" = String, description = "What the service requires (RFC 6750).")))]
    Unauthorized(V1Error),
    /// The token lacks the scope for this operation.
    #[response(status = FORBIDDEN, headers(("WWW-Authenticate" = String, description = "What the service requires (RFC 6750).")))]
    Forbidden(V1Error),
    /// The client has exceeded its rate limit.
    #[response(status = TOO_MANY_REQUESTS, headers(("Retry-After" = u32, description = "After how many seconds to try again.")))]
    TooManyRequests(V1Error),
    /// The path, the query string and the headers together are too large.
    #[response(status = REQUEST_HEADER_FIELDS_TOO_LARGE)]
    HeadTooLarge(V1Error),
    /// The service failed. Nothing was changed.
    #[response(status = INTERNAL_SERVER_ERROR)]
    Internal(V1Error),
    /// The service is overloaded or has lost its database. It did not execute the request.
    #[response(status = SERVICE_UNAVAILABLE, headers(("Retry-After" = u32, description = "After how many seconds to try again.")))]
    Unavailable(V1Error),
}

/// The error responses of routes that write.
#[derive(IntoResponses)]
pub(super) enum WriteErrors {
    /// The database's answer was lost. The change may have happened or not.
    #[response(status = GATEWAY_TIMEOUT)]
    OutcomeUnknown(V1Error),
}

/// The error responses of routes that name a user.
#[derive(IntoResponses)]
pub(super) enum UserErrors {
    /// No user has this id.
    #[response(status = NOT_FOUND)]
    NotFound(V1Error),
}

/// The error responses of routes that take a body.
#[derive(IntoResponses)]
pub(super) enum BodyErrors {
    /// The body did not arrive in time.
    #[response(status = REQUEST_TIMEOUT)]
    Timeout(V1Error),
    /// Another user has this email.
    #[response(status = CONFLICT)]
    EmailTaken(V1Error),
    /// The body is too large.
    #[response(status = PAYLOAD_TOO_LARGE)]
    TooLarge(V1Error),
    /// The body is not JSON.
    #[response(status = UNSUPPORTED_MEDIA_TYPE, headers(("Accept" = String, description = "The media type that it must have.")))]
    MediaType(V1Error),
}

/// The error responses of routes that take an idempotency key.
#[derive(IntoResponses)]
pub(super) enum KeyErrors {
    /// The idempotency key belongs to another request. Nothing was changed.
    #[response(status = UNPROCESSABLE_ENTITY)]
    KeyReused(V1Error),
}

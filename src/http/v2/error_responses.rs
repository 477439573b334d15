//! The error responses of version 2, as the API's description lists them.
#![expect(dead_code, reason = "they only describe what `crate::http::problem` makes")]

use utoipa::IntoResponses;

use crate::http::problem::Problem;

/// The error responses of every route.
#[derive(IntoResponses)]
pub(super) enum CommonErrors {
    /// Something in the request is malformed.
    #[response(status = BAD_REQUEST, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// The request has no token, or an invalid one.
    #[response(status = UNAUTHORIZED, content_type = "application/problem+json",
        headers(("WWW-Authenticate" = String, description = "What the service requires (RFC 6750).")))]
    Unauthorized(Problem),
    /// The token lacks the scope for this operation.
    #[response(status = FORBIDDEN, content_type = "application/problem+json",
        headers(("WWW-Authenticate" = String, description = "What the service requires (RFC 6750).")))]
    Forbidden(Problem),
    /// The client has exceeded its rate limit.
    #[response(status = TOO_MANY_REQUESTS, content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "After how many seconds to try again.")))]
    TooManyRequests(Problem),
    /// The path, the query string and the headers together are too large.
    #[response(status = REQUEST_HEADER_FIELDS_TOO_LARGE, content_type = "application/problem+json")]
    HeadTooLarge(Problem),
    /// The service failed. Nothing was changed.
    #[response(status = INTERNAL_SERVER_ERROR, content_type = "application/problem+json")]
    Internal(Problem),
    /// The service is overloaded or has lost its database. It did not execute the request.
    #[response(status = SERVICE_UNAVAILABLE, content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "After how many seconds to try again.")))]
    Unavailable(Problem),
}

/// The error responses of routes that name a user.
#[derive(IntoResponses)]
pub(super) enum UserErrors {
    /// No user has this id.
    #[response(status = NOT_FOUND, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// The error responses of routes that take a condition.
#[derive(IntoResponses)]
pub(super) enum ConditionErrors {
    /// The user's version does not fulfil `If-Match` or `If-None-Match`. Nothing was changed.
    #[response(status = PRECONDITION_FAILED, content_type = "application/problem+json")]
    VersionMismatch(Problem),
}

/// The error responses of routes that resume a stream.
#[derive(IntoResponses)]
pub(super) enum ResumeErrors {
    /// The service no longer has all events after the last one that the client received, or that one is from another database.
    #[response(status = GONE, content_type = "application/problem+json")]
    EventsGone(Problem),
}

/// The error responses of routes whose answers have several forms.
#[derive(IntoResponses)]
pub(super) enum AcceptErrors {
    /// The client accepts none of the forms that the answer can have.
    #[response(status = NOT_ACCEPTABLE, content_type = "application/problem+json")]
    NotAcceptable(Problem),
}

/// The error responses of routes that take a position.
#[derive(IntoResponses)]
pub(super) enum PositionErrors {
    /// The log of events has never reached `At-Least-Position`: it is from before a restore or a failover, or from another
    /// database.
    #[response(status = GONE, content_type = "application/problem+json")]
    EventsGone(Problem),
}

/// The error responses of routes that write.
#[derive(IntoResponses)]
pub(super) enum WriteErrors {
    /// The database's answer was lost. The change may have happened or not.
    #[response(status = GATEWAY_TIMEOUT, content_type = "application/problem+json")]
    OutcomeUnknown(Problem),
}

/// The error responses of routes that take a body.
#[derive(IntoResponses)]
pub(super) enum BodyErrors {
    /// The body did not arrive in time.
    #[response(status = REQUEST_TIMEOUT, content_type = "application/problem+json")]
    Timeout(Problem),
    /// Another user has this email.
    #[response(status = CONFLICT, content_type = "application/problem+json")]
    EmailTaken(Problem),
    /// The body is too large.
    #[response(status = PAYLOAD_TOO_LARGE, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is JSON, but not a valid user; or the idempotency key belongs to another request.
    #[response(status = UNPROCESSABLE_ENTITY, content_type = "application/problem+json")]
    Invalid(Problem),
}

/// The error responses of routes that take a batch.
#[derive(IntoResponses)]
pub(super) enum BatchErrors {
    /// The body did not arrive in time.
    #[response(status = REQUEST_TIMEOUT, content_type = "application/problem+json")]
    Timeout(Problem),
    /// The body has more than 1 MiB.
    #[response(status = PAYLOAD_TOO_LARGE, content_type = "application/problem+json")]
    TooLarge(Problem),
}

/// The error responses of routes that execute all operations or none.
#[derive(IntoResponses)]
pub(super) enum AtomicErrors {
    /// No user has the id of an operation. Nothing was changed.
    #[response(status = NOT_FOUND, content_type = "application/problem+json")]
    NotFound(Problem),
    /// Another user has the email of an operation. Nothing was changed.
    #[response(status = CONFLICT, content_type = "application/problem+json")]
    EmailTaken(Problem),
    /// A user has another version than an operation expects. Nothing was changed.
    #[response(status = PRECONDITION_FAILED, content_type = "application/problem+json")]
    VersionMismatch(Problem),
    /// An operation has an invalid user, or the idempotency key belongs to another request. Nothing was changed.
    #[response(status = UNPROCESSABLE_ENTITY, content_type = "application/problem+json")]
    Invalid(Problem),
}

/// The error responses of routes that change imports.
#[derive(IntoResponses)]
pub(super) enum ImportErrors {
    /// Another upload is under way, or the file or the options differ from what was imported before.
    #[response(status = CONFLICT, content_type = "application/problem+json")]
    Conflict(Problem),
}

/// The error responses of routes that need an import.
#[derive(IntoResponses)]
pub(super) enum ImportMissingErrors {
    /// There is no import with this id.
    #[response(status = NOT_FOUND, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// The error responses of routes that take a file.
#[derive(IntoResponses)]
pub(super) enum UploadErrors {
    /// The body made no progress.
    #[response(status = REQUEST_TIMEOUT, content_type = "application/problem+json")]
    Timeout(Problem),
    /// The body has another media type, or is compressed.
    #[response(status = UNSUPPORTED_MEDIA_TYPE, content_type = "application/problem+json",
        headers(("Accept" = String, description = "The media types that it may have.")))]
    MediaType(Problem),
    /// The file as a whole cannot be read, for instance because it is an export that was cut. What comes before is stored.
    #[response(status = UNPROCESSABLE_ENTITY, content_type = "application/problem+json")]
    InvalidFile(Problem),
}

/// The error responses of routes that take JSON.
#[derive(IntoResponses)]
pub(super) enum JsonErrors {
    /// The body has another media type.
    #[response(status = UNSUPPORTED_MEDIA_TYPE, content_type = "application/problem+json",
        headers(("Accept" = String, description = "The media type that it must have.")))]
    MediaType(Problem),
}

/// The error responses of routes that take a merge patch.
#[derive(IntoResponses)]
pub(super) enum PatchErrors {
    /// The body has another media type.
    #[response(status = UNSUPPORTED_MEDIA_TYPE, content_type = "application/problem+json",
        headers(("Accept-Patch" = String, description = "The media type that it must have (RFC 5789).")))]
    MediaType(Problem),
}

/// The error responses of routes that take an idempotency key.
#[derive(IntoResponses)]
pub(super) enum KeyErrors {
    /// The idempotency key belongs to another request. Nothing was changed.
    #[response(status = UNPROCESSABLE_ENTITY, content_type = "application/problem+json")]
    KeyReused(Problem),
}

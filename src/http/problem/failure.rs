use std::borrow::Cow;

use actix_web::ResponseError;
use actix_web::http::StatusCode;

use super::operation::OperationFailure;
use crate::auth::{Denied, Refused};
use crate::domain;

/// Why a request failed, whatever version of the API it was for. The texts are for the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    User(#[from] domain::Error),
    #[error("the body is not valid JSON: {0}")]
    MalformedBody(String),
    #[error("{pointer}: {detail}")]
    InvalidBatch { pointer: String, detail: Cow<'static, str> },
    #[error(transparent)]
    Operation(#[from] OperationFailure),
    #[error(transparent)]
    InvalidImportId(#[from] domain::InvalidImportId),
    #[error("{detail}")]
    ImportConflict { detail: String, retry_after: Option<&'static str> },
    #[error("there is no import with this id")]
    ImportNotFound,
    /// The file as a whole: its own code is part of the detail.
    #[error("the file cannot be read: {detail} ({code})")]
    InvalidFile { detail: String, code: &'static str, pointer: Option<String> },
    #[error(transparent)]
    InvalidId(#[from] domain::InvalidUserId),
    #[error("query parameter {parameter}: {detail}")]
    InvalidQuery { parameter: String, detail: Cow<'static, str> },
    #[error("header {name}: {detail}")]
    InvalidHeader { name: &'static str, detail: &'static str },
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the head has more than {limit} bytes")]
    HeadTooLarge { limit: usize },
    #[error("there is nothing at this path")]
    RouteNotFound,
    #[error("this path answers {allow}")]
    MethodNotAllowed { allow: String },
    #[error("the answer can be {offered}, and the client accepts neither")]
    NotAcceptable { offered: &'static str },
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body has more than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the body must not be compressed or otherwise encoded")]
    EncodedBody,
    #[error("the body must be {accepted}")]
    UnsupportedMediaType { accepted: &'static str, header: &'static str },
}

impl Failure {
    /// The status in version 2, and a name for programs, which never changes.
    pub(crate) const fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MalformedBody(_) => (StatusCode::BAD_REQUEST, "malformed_body"),
            Self::InvalidBatch { .. } => (StatusCode::BAD_REQUEST, "invalid_batch"),
            Self::Operation(OperationFailure { error, .. }) | Self::User(error) => (user_status(error), error.code()),
            Self::ImportConflict { .. } => (StatusCode::CONFLICT, "import_conflict"),
            Self::ImportNotFound => (StatusCode::NOT_FOUND, "import_not_found"),
            Self::InvalidFile { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_file"),
            Self::InvalidId(_) | Self::InvalidImportId(_) => (StatusCode::BAD_REQUEST, "invalid_id"),
            Self::InvalidQuery { .. } => (StatusCode::BAD_REQUEST, "invalid_query"),
            Self::InvalidHeader { .. } => (StatusCode::BAD_REQUEST, "invalid_header"),
            Self::Refused(refused) => (refusal(*refused), refused.code()),
            Self::HeadTooLarge { .. } => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large"),
            Self::RouteNotFound => (StatusCode::NOT_FOUND, "route_not_found"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::NotAcceptable { .. } => (StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::EncodedBody | Self::UnsupportedMediaType { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
        }
    }

    /// The header that HTTP requires or recommends with this failure's status.
    pub(super) fn header(&self) -> Option<(&'static str, Cow<'_, str>)> {
        match self {
            Self::Refused(Refused::NoToken) => Some(("www-authenticate", REALM.into())),
            Self::Refused(Refused::TooManyRequests { retry_after }) => {
                Some(("retry-after", retry_after.to_string().into()))
            }
            // A batch takes milliseconds, so there is room again at once. A second keeps many clients from retrying
            // together.
            Self::User(error) | Self::Operation(OperationFailure { error, .. })
                if matches!(error, domain::Error::Overloaded | domain::Error::Unavailable) =>
            {
                Some(("retry-after", "1".into()))
            }
            // Made for a million users within seconds to minutes.
            Self::User(domain::Error::IndexNotReady) => Some(("retry-after", "5".into())),
            Self::Refused(Refused::Denied(Denied::NoKeys)) => Some(("retry-after", "1".into())),
            Self::Refused(Refused::Denied(denied)) => Some(("www-authenticate", challenge(*denied).into())),
            Self::ImportConflict { retry_after: Some(seconds), .. } => Some(("retry-after", (*seconds).into())),
            Self::MethodNotAllowed { allow } => Some(("allow", allow.into())),
            Self::EncodedBody => Some(("accept-encoding", "identity".into())),
            Self::UnsupportedMediaType { accepted, header } => Some((header, (*accepted).into())),
            _ => None,
        }
    }

    /// The fields of the body that are wrong.
    pub(crate) fn fields(&self) -> &[domain::FieldError] {
        if let Self::User(domain::Error::Invalid(fields)) = self { fields } else { &[] }
    }
}

const fn refusal(refused: Refused) -> StatusCode {
    match refused {
        Refused::Denied(Denied::Scope(_)) => StatusCode::FORBIDDEN,
        Refused::Denied(Denied::NoKeys) => StatusCode::SERVICE_UNAVAILABLE,
        Refused::NoToken | Refused::Denied(_) => StatusCode::UNAUTHORIZED,
        Refused::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
    }
}

const fn user_status(error: &domain::Error) -> StatusCode {
    match error {
        domain::Error::Invalid(_) | domain::Error::InvalidAttributes(_) | domain::Error::KeyReused => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        domain::Error::NotFound => StatusCode::NOT_FOUND,
        domain::Error::EmailTaken | domain::Error::ExternalIdTaken => StatusCode::CONFLICT,
        domain::Error::VersionMismatch => StatusCode::PRECONDITION_FAILED,
        domain::Error::InvalidPageToken => StatusCode::BAD_REQUEST,
        domain::Error::EventsGone | domain::Error::PositionUnknown => StatusCode::GONE,
        domain::Error::Overloaded
        | domain::Error::IndexNotReady
        | domain::Error::Unavailable
        | domain::Error::Unusable => StatusCode::SERVICE_UNAVAILABLE,
        domain::Error::OutcomeUnknown => StatusCode::GATEWAY_TIMEOUT,
        domain::Error::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The challenge for a request without a token, which names no error (RFC 6750, 3.1).
const REALM: &str = r#"Bearer realm="user-service""#;

fn challenge(denied: Denied) -> String {
    match denied {
        Denied::Scope(scope) => format!(r#"{REALM}, error="insufficient_scope", scope="{}""#, scope.as_str()),
        denied => format!(r#"{REALM}, error="invalid_token", error_description="{denied}""#),
    }
}

/// Lets actix carry a failure out of a handler. The outermost middleware then replaces the response.
impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status_and_code().0
    }
}

//! Every error of a call, and its gRPC status with google.rpc details.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::auth::{Denied, Refused};
use crate::domain;
use crate::telemetry::Context;

/// Why a call failed. The texts are for the client.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    User(#[from] domain::Error),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{field}: {detail}")]
    InvalidField { field: Cow<'static, str>, detail: &'static str },
    /// An operation of a batch; `field` is what is at fault.
    #[error("{field}: {error}")]
    Operation { field: String, error: domain::Error },
    #[error("metadata grpc-timeout is malformed")]
    InvalidTimeout,
    #[error("the message cannot be read")]
    MalformedMessage,
    #[error("the message has more than {limit} bytes")]
    MessageTooLarge { limit: usize },
    #[error("the deadline passed; nothing was changed")]
    DeadlineExceeded,
    #[error("the stream ends here; come back with the last position")]
    StreamOver,
    #[error("this connection ends; go on with another one. Nothing was changed")]
    ConnectionOver,
    #[error("too many calls at once, or too many without a token; nothing was changed")]
    TooManyCalls,
    #[error("there is no such method")]
    Unimplemented,
}

/// The retry delay that rejected callers are given. A batch takes milliseconds, so there will be room almost at once;
/// the delay keeps many callers from retrying immediately.
const RETRY_DELAY: Duration = Duration::from_secs(1);

impl Failure {
    /// Replaces failures that invite a retry if the caller's deadline has passed.
    fn after_deadline(self) -> Self {
        let deadline = Context::current().and_then(|context| context.deadline);
        let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
        match self {
            // The caller has no time left for the retry that these invite.
            Self::User(domain::Error::Overloaded | domain::Error::Unavailable | domain::Error::Unusable) if is_over => {
                Self::DeadlineExceeded
            }
            other => other,
        }
    }

    /// The same failure of an operation in a batch.
    pub(super) fn within(self, place: usize, operation: &str) -> Self {
        match self {
            Self::InvalidField { field, detail } => {
                Self::InvalidField { field: format!("operations[{place}].{operation}.{field}").into(), detail }
            }
            other => other,
        }
    }

    /// The gRPC code, and a stable name for programs, which equals REST's.
    const fn codes(&self) -> (Code, &'static str) {
        match self {
            Self::User(error) | Self::Operation { error, .. } => (user_code(error), error.code()),
            Self::Refused(refused) => (refusal(*refused), refused.code()),
            Self::InvalidField { .. } => (Code::InvalidArgument, "invalid_argument"),
            Self::InvalidTimeout => (Code::InvalidArgument, "invalid_timeout"),
            Self::MalformedMessage => (Code::InvalidArgument, "malformed_message"),
            Self::MessageTooLarge { .. } => (Code::ResourceExhausted, "message_too_large"),
            Self::DeadlineExceeded => (Code::DeadlineExceeded, "deadline_exceeded"),
            Self::StreamOver => (Code::Unavailable, "stream_over"),
            Self::ConnectionOver => (Code::Unavailable, domain::Error::Unavailable.code()),
            Self::TooManyCalls => (Code::ResourceExhausted, "too_many_calls"),
            Self::Unimplemented => (Code::Unimplemented, "unimplemented"),
        }
    }

    fn violations(&self) -> Vec<FieldViolation> {
        match self {
            Self::User(domain::Error::Invalid(fields)) => {
                let violation = |error: &domain::FieldError| FieldViolation::new(path(error), error.detail);
                fields.iter().map(violation).collect()
            }
            Self::User(domain::Error::InvalidAttributes(violations)) => {
                violations.iter().map(|violation| of_violation(violation, "")).collect()
            }
            Self::Operation { field, error: domain::Error::InvalidAttributes(violations) } => {
                violations.iter().map(|violation| of_violation(violation, field)).collect()
            }
            Self::User(error @ domain::Error::ExternalIdTaken) => {
                vec![FieldViolation::new("external_id", error.to_string())]
            }
            Self::User(error @ domain::Error::InvalidPageToken) => {
                vec![FieldViolation::new("page_token", error.to_string())]
            }
            Self::Operation { field, error: domain::Error::Invalid(fields) } => {
                let violation = |error: &domain::FieldError| match &error.field {
                    Some(_) => FieldViolation::new(format!("{field}.{}", path(error)), error.detail),
                    None => FieldViolation::new(field, error.detail),
                };
                fields.iter().map(violation).collect()
            }
            Self::Operation { field, error } => vec![FieldViolation::new(field, error.to_string())],
            Self::InvalidField { field, detail } => vec![FieldViolation::new(field.as_ref(), *detail)],
            _ => Vec::new(),
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::User(domain::Error::Overloaded | domain::Error::Unavailable)
            | Self::Operation { error: domain::Error::Overloaded | domain::Error::Unavailable, .. }
            | Self::Refused(Refused::Denied(Denied::NoKeys))
            | Self::StreamOver
            | Self::ConnectionOver
            | Self::TooManyCalls => Some(RETRY_DELAY),
            Self::Refused(Refused::TooManyRequests { retry_after }) => Some(Duration::from_secs(*retry_after)),
            _ => None,
        }
    }
}

/// `base` is the path to the user.
fn of_violation(violation: &domain::Violation, base: &str) -> FieldViolation {
    let path = format!("{base}{}", violation.pointer.replace('/', "."));
    FieldViolation::new(path.trim_start_matches('.'), &violation.detail)
}

/// The path of the field that is wrong, with the part of it.
fn path(error: &domain::FieldError) -> String {
    error.field.clone().unwrap_or_default() + &error.below.replace('/', ".")
}

/// The details follow <https://google.aip.dev/193>.
impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let failure = failure.after_deadline();
        let (code, name) = failure.codes();
        let context = Context::current();
        let trace = context.and_then(|context| context.trace);
        let metadata = trace.map(|place| ("trace_id".to_owned(), place.trace_id.to_string()));
        let reason = name.to_ascii_uppercase();
        let metadata = HashMap::from_iter(metadata);
        let mut details = ErrorDetails::with_error_info(reason, env!("CARGO_PKG_NAME"), metadata);
        let violations = failure.violations();
        if !violations.is_empty() {
            details.set_bad_request(violations);
        }
        if let Some(delay) = failure.retry_after() {
            details.set_retry_info(Some(delay));
        }
        if let Some(context) = context {
            details.set_request_info(context.request_id.as_str(), "");
        }
        Self::with_error_details(code, failure.to_string(), details)
    }
}

impl From<domain::Error> for Status {
    fn from(error: domain::Error) -> Self {
        Failure::User(error).into()
    }
}

const fn user_code(error: &domain::Error) -> Code {
    match error {
        domain::Error::Invalid(_)
        | domain::Error::InvalidAttributes(_)
        | domain::Error::InvalidPageToken
        | domain::Error::KeyReused => Code::InvalidArgument,
        domain::Error::NotFound => Code::NotFound,
        domain::Error::EmailTaken | domain::Error::ExternalIdTaken => Code::AlreadyExists,
        domain::Error::VersionMismatch => Code::Aborted,
        domain::Error::EventsGone | domain::Error::PositionUnknown => Code::OutOfRange,
        domain::Error::Overloaded
        | domain::Error::IndexNotReady
        | domain::Error::Unavailable
        | domain::Error::Unusable => Code::Unavailable,
        domain::Error::OutcomeUnknown => Code::DeadlineExceeded,
        domain::Error::Internal => Code::Internal,
    }
}

const fn refusal(refused: Refused) -> Code {
    match refused {
        Refused::Denied(Denied::Scope(_)) => Code::PermissionDenied,
        Refused::Denied(Denied::NoKeys) => Code::Unavailable,
        Refused::NoToken | Refused::Denied(_) => Code::Unauthenticated,
        Refused::TooManyRequests { .. } => Code::ResourceExhausted,
    }
}

/// A code's name in the specification, such as `NOT_FOUND`.
pub(super) const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether the service is at fault, as with HTTP's 5xx. Deadlines are the caller's choice, unless the outcome of the
/// call is unknown. The end of a stream is not a fault.
pub(super) fn is_failure(status: &Status, streams: bool) -> bool {
    match status.code() {
        Code::Unknown | Code::Internal | Code::DataLoss => true,
        Code::Unavailable => !streams,
        Code::DeadlineExceeded => is_outcome_unknown(status),
        _ => false,
    }
}

fn is_outcome_unknown(status: &Status) -> bool {
    let reason = domain::Error::OutcomeUnknown.code();
    status.get_details_error_info().is_some_and(|info| info.reason.eq_ignore_ascii_case(reason))
}

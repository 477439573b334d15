//! Problems that the service reports. They are the same over both protocols.

use std::fmt;
use std::time::Duration;

/// A problem that the service reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The kind of problem, for programs.
    pub code: Code,
    /// A description of this occurrence, for humans.
    pub detail: String,
    /// The invalid fields.
    pub fields: Vec<FieldError>,
    /// The operation of a batch that is at fault, from 0. `fields` are those of this operation.
    pub operation: Option<usize>,
    /// The trace that the call belongs to, if any (W3C Trace Context).
    pub trace_id: Option<String>,
    /// The id of the request in the service's log.
    pub request_id: String,
    /// The delay that the service asks for before a retry.
    pub retry_after: Option<Duration>,
}

/// An error in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// The field's name, such as `email`. Empty if the error concerns the whole.
    pub field: String,
    /// The part of the field that is wrong, as a JSON pointer (RFC 6901) into the user, such as
    /// `/attributes/address/city`. Over gRPC a dot in the name of an attribute looks like another level.
    pub pointer: String,
    /// A description of the error, for humans.
    pub detail: String,
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)?;
        if let Some(operation) = self.operation {
            write!(f, "; operation {operation}")?;
        }
        for FieldError { field, detail, .. } in &self.fields {
            write!(f, "; {field} {detail}")?;
        }
        write!(f, " (request {})", self.request_id)
    }
}

/// A kind of problem. The service's docs/api.md#errors lists the codes of REST; gRPC has the same and a few more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// No user has this id.
    UserNotFound,
    /// Another user has this email.
    EmailTaken,
    /// Another user has this external id.
    ExternalIdTaken,
    /// The idempotency key belongs to another request.
    IdempotencyKeyReused,
    /// The user is no longer in the state that the etag names.
    VersionMismatch,
    /// The user is invalid. [`Problem::fields`] says which fields are.
    InvalidUser,
    /// The id is not a positive integer.
    InvalidId,
    /// A batch is malformed. [`Problem::fields`] says where.
    InvalidBatch,
    /// The caller has no import with this id.
    ImportNotFound,
    /// The upload differs from what its import has stored, begins at another line, or is not the only one under way.
    ImportConflict,
    /// The users of an import cannot be read; those before are stored.
    InvalidFile,
    /// A filter of the list or the page size is invalid.
    InvalidQuery,
    /// The index that a filter by attribute needs is still being made. The service's `/ready` says how far it is.
    IndexNotReady,
    /// The page token does not belong to this list.
    InvalidPageToken,
    /// Events after this position have been pruned, or the position belongs to another database. Watch from now on,
    /// then list all users.
    EventsGone,
    /// The request has no token.
    Unauthorized,
    /// The token is invalid.
    InvalidToken,
    /// The token is valid but lacks the scope for this call.
    InsufficientScope,
    /// The client exceeded its rate limit.
    TooManyRequests,
    /// The service is overloaded. The request was not executed.
    Overloaded,
    /// The service cannot reach something it depends on. The request was not executed.
    Unavailable,
    /// The stream of changes ended, as every stream does eventually. The client reconnects by itself.
    StreamOver,
    /// The request's body did not arrive in time.
    RequestTimeout,
    /// The deadline passed before the request was executed.
    DeadlineExceeded,
    /// The change may or may not have been made.
    OutcomeUnknown,
    /// The service failed. Nothing was changed.
    #[default]
    Internal,
    /// A code that this version of the client does not know.
    Other(String),
}

const KNOWN: [(Code, &str); 26] = [
    (Code::UserNotFound, "user_not_found"),
    (Code::EmailTaken, "email_taken"),
    (Code::ExternalIdTaken, "external_id_taken"),
    (Code::IdempotencyKeyReused, "idempotency_key_reused"),
    (Code::VersionMismatch, "version_mismatch"),
    (Code::InvalidUser, "invalid_user"),
    (Code::InvalidId, "invalid_id"),
    (Code::InvalidBatch, "invalid_batch"),
    (Code::ImportNotFound, "import_not_found"),
    (Code::ImportConflict, "import_conflict"),
    (Code::InvalidFile, "invalid_file"),
    (Code::InvalidQuery, "invalid_query"),
    (Code::IndexNotReady, "index_not_ready"),
    (Code::InvalidPageToken, "invalid_page_token"),
    (Code::EventsGone, "events_gone"),
    (Code::Unauthorized, "unauthorized"),
    (Code::InvalidToken, "invalid_token"),
    (Code::InsufficientScope, "insufficient_scope"),
    (Code::TooManyRequests, "too_many_requests"),
    (Code::Overloaded, "overloaded"),
    (Code::Unavailable, "unavailable"),
    (Code::StreamOver, "stream_over"),
    (Code::RequestTimeout, "request_timeout"),
    (Code::DeadlineExceeded, "deadline_exceeded"),
    (Code::OutcomeUnknown, "outcome_unknown"),
    (Code::Internal, "internal"),
];

impl Code {
    pub(crate) fn parse(name: &str) -> Self {
        let known = KNOWN.into_iter().find(|(_, known)| *known == name);
        known.map_or_else(|| Self::Other(name.to_owned()), |(code, _)| code)
    }

    /// The code's name, as in the service's JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let Self::Other(name) = self else {
            return KNOWN.iter().find(|(known, _)| known == self).map_or("", |(_, name)| name);
        };
        name
    }

    /// Whether this refusal says that no earlier attempt of the same change was executed, nor will be: versions only
    /// grow, and ids are not given again. An address may become free while an earlier attempt still waits.
    pub(crate) const fn is_decision(&self) -> bool {
        matches!(self, Self::UserNotFound | Self::VersionMismatch)
    }

    /// Whether the same call may succeed later.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests
                | Self::Overloaded
                | Self::Unavailable
                | Self::StreamOver
                | Self::RequestTimeout
                | Self::DeadlineExceeded
                | Self::OutcomeUnknown
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_name() {
        for (code, name) in KNOWN {
            assert_eq!((Code::parse(name), code.as_str()), (code.clone(), name));
        }
        assert_eq!(Code::parse("one_of_tomorrow").as_str(), "one_of_tomorrow");
    }

    #[test]
    fn a_problem_displays_all_of_its_parts() {
        let (_, field) = crate::pointer::read("/email", "must be a valid email address".into());
        let mut problem = Problem {
            code: Code::InvalidUser,
            detail: "the user is not valid".into(),
            fields: vec![field],
            request_id: "7".into(),
            ..Problem::default()
        };
        assert_eq!(
            problem.to_string(),
            "invalid_user: the user is not valid; email must be a valid email address (request 7)"
        );
        problem.operation = Some(2);
        assert!(problem.to_string().contains("not valid; operation 2; email must"), "{problem}");
    }
}

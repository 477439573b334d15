//! What the service says is wrong: the same for both protocols.

use std::fmt;
use std::time::Duration;

/// What the service says is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What kind of problem it is, for programs.
    pub code: Code,
    /// What went wrong this time, for people.
    pub detail: String,
    /// The fields that are wrong.
    pub fields: Vec<FieldError>,
    /// The trace that the call belongs to, when it has one (W3C Trace Context).
    pub trace_id: Option<String>,
    /// What the service's log knows the call by.
    pub request_id: String,
    /// How long the service asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its name, such as `email`; empty when it is the whole that is wrong.
    pub field: String,
    /// What is wrong with it, for people.
    pub detail: String,
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)?;
        for FieldError { field, detail } in &self.fields {
            write!(f, "; {field} {detail}")?;
        }
        write!(f, " (request {})", self.request_id)
    }
}

/// A kind of problem. The README of the service has them all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// No user has this id.
    UserNotFound,
    /// Another user has this email.
    EmailTaken,
    /// The user is in another state than the etag says.
    VersionMismatch,
    /// [`Problem::fields`] tells what is wrong with the user.
    InvalidUser,
    /// An id is 1 or more.
    InvalidId,
    /// Something about a list's filters or a page's size.
    InvalidQuery,
    /// The page is not one of this list's.
    InvalidPageToken,
    /// Events after this position are forgotten, or it is another database's. Watch from now on, then list all users.
    EventsGone,
    /// There was no token.
    Unauthorized,
    /// The token does not do.
    InvalidToken,
    /// The token is good, but not for this.
    InsufficientScope,
    /// More than the service lets one client do.
    TooManyRequests,
    /// Too much is waiting; this was not executed.
    Overloaded,
    /// The service cannot reach what it needs; this was not executed.
    Unavailable,
    /// A stream of changes ends, as they all do in time; a client comes back by itself.
    StreamOver,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The caller's time was over before this was executed.
    DeadlineExceeded,
    /// The change may or may not have been made.
    OutcomeUnknown,
    /// A fault of the service; nothing was changed.
    #[default]
    Internal,
    /// Any other, by its name.
    Other(String),
}

const KNOWN: [(Code, &str); 19] = [
    (Code::UserNotFound, "user_not_found"),
    (Code::EmailTaken, "email_taken"),
    (Code::VersionMismatch, "version_mismatch"),
    (Code::InvalidUser, "invalid_user"),
    (Code::InvalidId, "invalid_id"),
    (Code::InvalidQuery, "invalid_query"),
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

    /// Its name, as the service writes it in JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let Self::Other(name) = self else {
            return KNOWN.iter().find(|(known, _)| known == self).map_or("", |(_, name)| name);
        };
        name
    }

    /// Nothing was executed, and the service itself says that the same may be sent again.
    pub(crate) const fn says_try_again(&self) -> bool {
        matches!(self, Self::TooManyRequests | Self::Overloaded | Self::Unavailable)
    }

    /// The same may go well another time.
    pub(crate) const fn is_transient(&self) -> bool {
        self.says_try_again()
            || matches!(self, Self::StreamOver | Self::RequestTimeout | Self::DeadlineExceeded | Self::OutcomeUnknown)
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
    fn a_problem_tells_everything() {
        let field = FieldError { field: "email".into(), detail: "must be a valid email address".into() };
        let problem = Problem {
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
    }
}

//! Why a call failed.

use std::time::Duration;

use crate::call::{Kind, RequestId};
use crate::problem::{Code, Problem};
use crate::token::BoxError;

/// Why a call failed.
///
/// After [`OutcomeUnknown`](Self::OutcomeUnknown) a change may have been made. After every other error it was not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service reported a problem. Programs should match on [`Problem::code`].
    #[error(transparent)]
    Problem(Box<Problem>),
    /// A change was sent, but its outcome is unknown: a response did not arrive in time, was incomplete, or says that
    /// the service itself does not know. Then the change was repeated, and either the time or the retry budget was spent,
    /// or it was refused: that says nothing about the attempt that went before, unless the user is in another version or
    /// is not there. Check the user, or repeat the change with the same [`IdempotencyKey`](crate::IdempotencyKey).
    #[error("whether the change was made is not known (request {request_id}): {source}")]
    OutcomeUnknown {
        /// The id of the request in the service's log.
        request_id: RequestId,
        /// What happened instead. A [`Problem`] if the service sent one.
        source: BoxError,
    },
    /// The service could not be reached, or something else answered in its place. Nothing was changed.
    #[error("no answer of the service (request {request_id}): {source}")]
    NoAnswer {
        /// The id of the request in the service's log, if the request arrived.
        request_id: RequestId,
        /// What happened instead.
        source: BoxError,
    },
    /// The call's timeout has passed. Nothing was changed.
    #[error("the time of the call is over (request {request_id})")]
    DeadlineExceeded {
        /// The id of the request in the service's log, if the request arrived.
        request_id: RequestId,
    },
    /// The token provider failed. Nothing was sent.
    #[error("no token: {0}")]
    Token(#[source] BoxError),
    /// The client cannot make this call, such as a batch of more than 1,000 operations, or an import over
    /// gRPC. Nothing was sent.
    #[error("the call is not possible: {0}")]
    InvalidCall(#[source] BoxError),
    /// The builder's settings are invalid.
    #[error("the client cannot be built: {0}")]
    Configuration(#[source] BoxError),
}

impl Error {
    /// The problem that the service reported, if it did.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::OutcomeUnknown { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    /// The code of the problem that the service reported, if it did. That of [`OutcomeUnknown`](Self::OutcomeUnknown) is
    /// what the last attempt was refused for.
    #[must_use]
    pub fn code(&self) -> Option<&Code> {
        self.problem().map(|problem| &problem.code)
    }

    /// Whether the same call may succeed later. If so, nothing was changed and it is safe to retry.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.code.is_transient(),
            Self::NoAnswer { source, .. } => !source.is::<Foreign>(),
            Self::DeadlineExceeded { .. } => true,
            Self::OutcomeUnknown { .. } | Self::Token(_) | Self::InvalidCall(_) | Self::Configuration(_) => false,
        }
    }
}

/// A response that does not come from the service. A retry would get the same.
#[derive(Debug, thiserror::Error)]
#[error("this is not an answer of the service: {0}")]
pub(crate) struct Foreign(pub(crate) String);

/// Why an attempt failed. The variants differ in whether the client may retry.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The service reported a problem.
    Problem(Box<Problem>),
    /// The service was not reached, so it cannot have executed the request.
    NotSent(BoxError),
    /// The request may have arrived, but no complete response from the service did.
    NoAnswer(BoxError),
    /// An intermediary refused the request for now.
    HeldUp(BoxError),
    /// An intermediary refused the request, or the response makes no sense. A retry would fail the same way.
    Refused(Foreign),
    /// The call's timeout has passed.
    TooLate { sent: bool },
    /// There was no token to send.
    Token(BoxError),
}

impl Failed {
    pub(crate) fn foreign(what: impl Into<String>) -> Self {
        Self::Refused(Foreign(what.into()))
    }

    /// Whether a retry may help. It is always safe: by its idempotency key the service recognizes a change that it has
    /// made already.
    pub(crate) fn may_retry(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.code.is_transient(),
            Self::NotSent(_) | Self::NoAnswer(_) | Self::HeldUp(_) => true,
            Self::Refused(_) | Self::TooLate { .. } | Self::Token(_) => false,
        }
    }

    /// Whether this attempt may have made the change.
    pub(crate) fn may_have_happened(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.code == Code::OutcomeUnknown,
            // An intermediary may also refuse to forward a response.
            Self::NoAnswer(_) | Self::HeldUp(_) | Self::Refused(_) | Self::TooLate { sent: true } => true,
            Self::NotSent(_) | Self::TooLate { sent: false } | Self::Token(_) => false,
        }
    }

    /// The error of a call of which an earlier attempt may have made the change.
    pub(crate) fn into_error_after_unknown(self, kind: Kind, request_id: RequestId) -> Error {
        match self {
            Self::Problem(problem) if problem.code.is_decision() => of_problem(problem, request_id),
            Self::Problem(problem) => Error::OutcomeUnknown { request_id, source: problem },
            Self::NotSent(source) | Self::Token(source) => Error::OutcomeUnknown { request_id, source },
            Self::TooLate { .. } => Self::TooLate { sent: true }.into_error(kind, request_id),
            failed => failed.into_error(kind, request_id),
        }
    }

    /// The delay that the service asks for before a retry.
    pub(crate) fn retry_after(&self) -> Duration {
        let Self::Problem(problem) = self else { return Duration::ZERO };
        problem.retry_after.unwrap_or_default()
    }

    /// The error of the call when there is no further attempt.
    pub(crate) fn into_error(self, kind: Kind, request_id: RequestId) -> Error {
        match (self, kind) {
            (Self::Problem(problem), _) => of_problem(problem, request_id),
            (Self::NoAnswer(source) | Self::HeldUp(source), Kind::Write) => {
                Error::OutcomeUnknown { request_id, source }
            }
            (Self::Refused(source), Kind::Write) => Error::OutcomeUnknown { request_id, source: source.into() },
            (Self::NoAnswer(source) | Self::HeldUp(source), Kind::Read) | (Self::NotSent(source), _) => {
                Error::NoAnswer { request_id, source }
            }
            (Self::Refused(source), Kind::Read) => Error::NoAnswer { request_id, source: source.into() },
            (Self::TooLate { sent: true }, Kind::Write) => {
                Error::OutcomeUnknown { request_id, source: "the time of the call is over".into() }
            }
            (Self::TooLate { .. }, _) => Error::DeadlineExceeded { request_id },
            (Self::Token(source), _) => Error::Token(source),
        }
    }
}

/// The error for a problem.
pub(crate) fn of_problem(problem: Box<Problem>, request_id: RequestId) -> Error {
    match problem.code {
        Code::OutcomeUnknown => Error::OutcomeUnknown { request_id, source: problem },
        Code::DeadlineExceeded => Error::DeadlineExceeded { request_id },
        _ => Error::Problem(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &str) -> Failed {
        Failed::Problem(Box::new(Problem { code: Code::parse(code), ..Problem::default() }))
    }

    /// Every failure of an attempt; whether the call is retried after it; whether a change may have been made.
    fn all() -> Vec<(Failed, bool, bool)> {
        vec![
            (problem("overloaded"), true, false),
            (problem("unavailable"), true, false),
            (problem("too_many_requests"), true, false),
            (problem("request_timeout"), true, false),
            (problem("stream_over"), true, false),
            (problem("outcome_unknown"), true, true),
            (problem("deadline_exceeded"), true, false),
            (problem("internal"), false, false),
            (problem("email_taken"), false, false),
            (problem("version_mismatch"), false, false),
            (problem("one of tomorrow"), false, false),
            (Failed::NotSent("refused".into()), true, false),
            (Failed::NoAnswer("cut".into()), true, true),
            (Failed::HeldUp("429".into()), true, true),
            (Failed::Refused(Foreign("404".into())), false, true),
            (Failed::TooLate { sent: false }, false, false),
            (Failed::TooLate { sent: true }, false, true),
            (Failed::Token("none".into()), false, false),
        ]
    }

    #[test]
    fn what_may_help_is_retried() {
        for (failed, is_retried, _) in all() {
            assert_eq!(failed.may_retry(), is_retried, "{failed:?}");
        }
    }

    #[test]
    fn a_change_that_may_have_been_made_has_an_unknown_outcome() {
        for (failed, _, may_have_happened) in all() {
            let text = format!("{failed:?}");
            assert_eq!(failed.may_have_happened(), may_have_happened, "{text}");
            let error = failed.into_error(Kind::Write, "1".parse().unwrap());
            assert_eq!(matches!(error, Error::OutcomeUnknown { .. }), may_have_happened, "{text}");
        }
    }

    /// Only some decisions of the service say that no earlier attempt has made the change either.
    #[test]
    fn after_an_unknown_outcome_only_a_decision_makes_it_known() {
        for (failed, ..) in all() {
            let text = format!("{failed:?}");
            let is_known = matches!(&failed, Failed::Problem(problem) if problem.code == Code::VersionMismatch);
            let error = failed.into_error_after_unknown(Kind::Write, "1".parse().unwrap());
            assert_eq!(!matches!(error, Error::OutcomeUnknown { .. }), is_known, "{text}");
        }
    }

    #[test]
    fn a_problem_is_kept_when_the_outcome_is_unknown() {
        let error = problem("outcome_unknown").into_error(Kind::Write, "1".parse().unwrap());
        assert_eq!(error.code(), Some(&Code::OutcomeUnknown));
    }
}

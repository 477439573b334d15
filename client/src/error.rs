//! Why a call failed.

use std::time::Duration;

use crate::call::RequestId;
use crate::problem::{Code, Problem};
use crate::token::BoxError;

/// Why a call failed.
///
/// After [`OutcomeUnknown`](Self::OutcomeUnknown) a change may have been made. After every other error it was not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service said what is wrong; [`Problem::code`] tells programs.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// A change was sent, and whether it was made is not known: no answer came in time, or no whole one, or the service does
    /// not know itself. It was not sent again. Look before you do.
    #[error("whether the change was made is not known (request {request_id}): {source}")]
    OutcomeUnknown {
        /// What the service's log knows it by.
        request_id: RequestId,
        /// What happened instead of an answer; a [`Problem`] if that is what came.
        source: BoxError,
    },
    /// The service could not be reached, or what answered was not the service. Nothing was changed.
    #[error("no answer of the service (request {request_id}): {source}")]
    NoAnswer {
        /// What the service's log knows it by, if it came that far.
        request_id: RequestId,
        /// What happened instead of an answer.
        source: BoxError,
    },
    /// The time that the call was given is over. Nothing was changed.
    #[error("the time of the call is over (request {request_id})")]
    DeadlineExceeded {
        /// What the service's log knows it by, if it came that far.
        request_id: RequestId,
    },
    /// The provider gave no token. Nothing was sent.
    #[error("no token: {0}")]
    Token(#[source] BoxError),
    /// A client cannot be built like this.
    #[error("the client cannot be built: {0}")]
    Configuration(#[source] BoxError),
}

impl Error {
    /// What the service said is wrong, if it was the service that said so.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::OutcomeUnknown { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    /// What kind of problem the service told of.
    #[must_use]
    pub fn code(&self) -> Option<&Code> {
        self.problem().map(|problem| &problem.code)
    }

    /// Whether the same may go well at another time, and is safe to be tried then: nothing was changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.code.is_transient(),
            Self::NoAnswer { source, .. } => !source.is::<Foreign>(),
            Self::DeadlineExceeded { .. } => true,
            Self::OutcomeUnknown { .. } | Self::Token(_) | Self::Configuration(_) => false,
        }
    }
}

/// An answer that is not the service's, and will be the same another time.
#[derive(Debug, thiserror::Error)]
#[error("this is not an answer of the service: {0}")]
pub(crate) struct Foreign(pub(crate) String);

/// Whether something is changed by what is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// Why an attempt of a call failed, told by what it means for another one.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The service said why.
    Problem(Box<Problem>),
    /// The service could not be reached: it knows nothing of it.
    NotSent(BoxError),
    /// It may have arrived, and no whole answer of the service came.
    NoAnswer(BoxError),
    /// Somebody in between refused it for now.
    HeldUp(BoxError),
    /// Somebody in between refused it, or it makes no sense; the same will come of it another time.
    Refused(Foreign),
    /// The time of the call is over.
    TooLate { sent: bool },
    /// There was no token to send.
    Token(BoxError),
}

impl Failed {
    pub(crate) fn foreign(what: impl Into<String>) -> Self {
        Self::Refused(Foreign(what.into()))
    }

    /// Whether another attempt can do no harm, and may do better. A change is repeated only when it is certain that it was not
    /// made. Even one that an etag keeps from being made twice is not: after an answer that was lost, the second attempt would
    /// find the user changed, by the first, and report that as somebody else's doing.
    pub(crate) fn may_be_repeated(&self, kind: Kind) -> bool {
        match (self, kind) {
            (Self::Problem(problem), Kind::Read) => problem.code.is_transient(),
            (Self::Problem(problem), Kind::Write) => problem.code.says_try_again(),
            (Self::NotSent(_), _) | (Self::NoAnswer(_) | Self::HeldUp(_), Kind::Read) => true,
            (Self::NoAnswer(_) | Self::HeldUp(_), Kind::Write)
            | (Self::Refused(_) | Self::TooLate { .. } | Self::Token(_), _) => false,
        }
    }

    /// How long the service asks to be left alone.
    pub(crate) fn retry_after(&self) -> Duration {
        let Self::Problem(problem) = self else { return Duration::ZERO };
        problem.retry_after.unwrap_or_default()
    }

    /// What the caller is told when there is no further attempt.
    pub(crate) fn into_error(self, kind: Kind, request_id: RequestId) -> Error {
        match (self, kind) {
            (Self::Problem(problem), _) => of_problem(problem, request_id),
            // Who is in between may refuse an answer too.
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

fn of_problem(problem: Box<Problem>, request_id: RequestId) -> Error {
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

    /// Every way in which an attempt can fail; whether a read and a change are repeated then; and whether a change may have
    /// been made.
    fn all() -> Vec<(Failed, bool, bool, bool)> {
        vec![
            (problem("overloaded"), true, true, false),
            (problem("unavailable"), true, true, false),
            (problem("too_many_requests"), true, true, false),
            (problem("request_timeout"), true, false, false),
            (problem("stream_over"), true, false, false),
            (problem("outcome_unknown"), true, false, true),
            (problem("deadline_exceeded"), true, false, false),
            (problem("internal"), false, false, false),
            (problem("email_taken"), false, false, false),
            (problem("one of tomorrow"), false, false, false),
            (Failed::NotSent("refused".into()), true, true, false),
            (Failed::NoAnswer("cut".into()), true, false, true),
            (Failed::HeldUp("429".into()), true, false, true),
            (Failed::Refused(Foreign("404".into())), false, false, true),
            (Failed::TooLate { sent: false }, false, false, false),
            (Failed::TooLate { sent: true }, false, false, true),
            (Failed::Token("none".into()), false, false, false),
        ]
    }

    #[test]
    fn only_what_is_safe_is_repeated() {
        for (failed, read, write, _) in all() {
            assert_eq!(failed.may_be_repeated(Kind::Read), read, "{failed:?}");
            assert_eq!(failed.may_be_repeated(Kind::Write), write, "{failed:?}");
        }
    }

    #[test]
    fn what_may_have_happened_is_said_to_be_unknown() {
        for (failed, _, _, may_have_happened) in all() {
            let text = format!("{failed:?}");
            let error = failed.into_error(Kind::Write, "1".parse().unwrap());
            assert_eq!(matches!(error, Error::OutcomeUnknown { .. }), may_have_happened, "{text}");
        }
    }

    #[test]
    fn a_problem_is_kept_when_the_outcome_is_unknown() {
        let error = problem("outcome_unknown").into_error(Kind::Write, "1".parse().unwrap());
        assert_eq!(error.code(), Some(&Code::OutcomeUnknown));
    }
}

//! What has become of the operations of a batch.

use std::time::Duration;

use crate::call::RequestId;
use crate::error::{Error, of_problem};
use crate::operation::Operation;
use crate::problem::{Code, Problem};
use crate::user::User;

/// What an operation of a batch has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The user, as a create or an update has left it. `None` after a deletion.
    pub user: Option<User>,
    /// Whether an earlier request with the same idempotency key has executed the operation. It may have been an earlier
    /// attempt of this call.
    pub is_replay: bool,
}

/// The service's answer to a batch: a result for each operation, in their order.
#[derive(Debug)]
pub(crate) struct Results(Vec<Result<Written, Box<Problem>>>);

impl Results {
    /// `None` if these are no results of these operations.
    pub(crate) fn of(operations: &[Operation], results: Vec<Result<Written, Box<Problem>>>) -> Option<Self> {
        let fits = |(operation, result): (&Operation, &Result<Written, _>)| {
            result.as_ref().map_or(true, |written| written.user.is_some() == operation.leaves_a_user())
        };
        let all_fit = operations.len() == results.len() && operations.iter().zip(&results).all(fits);
        all_fit.then_some(Self(results))
    }

    /// All of an atomic batch, or the problem of one.
    pub(crate) fn all(self) -> Result<Vec<Written>, Box<Problem>> {
        self.0.into_iter().collect()
    }

    /// What the service asks for before the batch is sent again. `None` if that would not help.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.transient().map(|problem| problem.retry_after.unwrap_or_default()).max()
    }

    /// Whether an operation may or may not have been executed.
    pub(crate) fn is_unknown(&self) -> bool {
        self.transient().any(|problem| problem.code == Code::OutcomeUnknown)
    }

    fn transient(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().filter_map(|result| result.as_ref().err()).map(AsRef::as_ref).filter(|it| it.code.is_transient())
    }

    /// The outcomes of the call.
    pub(crate) fn outcomes(self, request_id: &RequestId) -> Vec<Result<Written, Error>> {
        let error = |problem| of_problem(problem, request_id.clone());
        self.0.into_iter().map(|result| result.map_err(error)).collect()
    }

    /// The outcomes of the call when the batch was sent again and that has failed. It may have executed what was
    /// refused before, unless its error says that it has not.
    pub(crate) fn outcomes_after(self, failed: &Error, request_id: &RequestId) -> Vec<Result<Written, Error>> {
        if !matches!(failed, Error::OutcomeUnknown { .. }) {
            return self.outcomes(request_id);
        }
        let error = |problem: Box<Problem>| {
            if problem.code.is_decision() {
                return of_problem(problem, request_id.clone());
            }
            Error::OutcomeUnknown { request_id: request_id.clone(), source: problem }
        };
        self.0.into_iter().map(|result| result.map_err(error)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::UserFields;

    const DELETED: Written = Written { user: None, is_replay: false };

    fn refused(code: Code, seconds: u64) -> Result<Written, Box<Problem>> {
        let retry_after = Some(Duration::from_secs(seconds)).filter(|wait| !wait.is_zero());
        Err(Box::new(Problem { code, retry_after, ..Problem::default() }))
    }

    fn results(results: Vec<Result<Written, Box<Problem>>>) -> Results {
        let operations = vec![Operation::delete(1, None); results.len()];
        Results::of(&operations, results).unwrap()
    }

    #[test]
    fn each_operation_has_a_result_of_its_kind() {
        let delete = [Operation::delete(1, None)];
        let create = [Operation::create(UserFields::new("John", "john@example.com"))];
        assert!(Results::of(&delete, vec![Ok(DELETED)]).is_some());
        assert!(Results::of(&delete, vec![]).is_none());
        assert!(Results::of(&create, vec![Ok(DELETED)]).is_none());
        assert!(Results::of(&create, vec![refused(Code::EmailTaken, 0)]).is_some());
    }

    #[test]
    fn only_what_may_change_is_sent_again() {
        assert_eq!(results(vec![Ok(DELETED), refused(Code::UserNotFound, 0)]).retry_after(), None);
        let overloaded = results(vec![refused(Code::Overloaded, 1), refused(Code::Unavailable, 3), Ok(DELETED)]);
        assert_eq!(overloaded.retry_after(), Some(Duration::from_secs(3)));
        assert!(!overloaded.is_unknown());
        assert!(results(vec![refused(Code::OutcomeUnknown, 0)]).is_unknown());
    }

    /// Whether the outcome of a deletion that was refused with this code is unknown after a repetition that failed so.
    fn is_unknown(code: Code, failed: &Error) -> bool {
        let id = "1".parse().unwrap();
        let mut outcomes = results(vec![Ok(DELETED), refused(code, 0)]).outcomes_after(failed, &id);
        assert_eq!(outcomes.remove(0).unwrap(), DELETED);
        matches!(outcomes.remove(0), Err(Error::OutcomeUnknown { .. }))
    }

    #[test]
    fn a_lost_repetition_leaves_known_what_it_cannot_have_changed() {
        let request_id = || "1".parse::<RequestId>().unwrap();
        let lost = Error::OutcomeUnknown { request_id: request_id(), source: "cut".into() };
        assert!(is_unknown(Code::Overloaded, &lost) && is_unknown(Code::EmailTaken, &lost));
        assert!(!is_unknown(Code::UserNotFound, &lost));
        let not_sent = Error::NoAnswer { request_id: request_id(), source: "refused".into() };
        assert!(!is_unknown(Code::Overloaded, &not_sent));
    }
}

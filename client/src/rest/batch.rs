//! Batches in JSON.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::problem::ProblemJson;
use super::{JSON, Rest, body};
use crate::call::Attempt;
use crate::error::Failed;
use crate::fields::{UserFields, UserPatch};
use crate::operation::Operation;
use crate::outcomes::{Results, Written};
use crate::problem::{Code, Problem};
use crate::user::{Etag, User};

const BATCH_GET: &str = "/api/v2/users:batchGet";
const BATCH_WRITE: &str = "/api/v2/users:batchWrite";
/// How long to wait after an operation was refused for now. Only a whole answer can say so itself.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Rest {
    /// Takes at most 1,000 operations.
    pub(crate) async fn write_users(
        &self,
        attempt: Attempt,
        operations: &[Operation],
        atomic: bool,
    ) -> Result<Results, Failed> {
        let batch = Batch { operations: operations.iter().map(OperationJson::from).collect(), atomic };
        let answer = Answer::of(body(self.request(Method::POST, BATCH_WRITE, attempt.headers), JSON, &batch)?).await?;
        let Answered { results } = answer.json(200)?;
        let results = results.into_iter().map(|result| result.read(&answer)).collect::<Option<_>>();
        let results = results.and_then(|results| Results::of(operations, results));
        results.ok_or_else(|| Failed::NoAnswer("these are not the results of the operations".into()))
    }

    /// Takes at most 1,000 ids.
    pub(crate) async fn get_users(&self, attempt: Attempt, ids: &[i64]) -> Result<Vec<User>, Failed> {
        self.batch_get(attempt, &AskedUsers::Ids(ids)).await.map_err(of_invalid_id)
    }

    /// Takes at most 1,000 emails.
    pub(crate) async fn get_users_by_email(&self, attempt: Attempt, emails: &[&str]) -> Result<Vec<User>, Failed> {
        self.batch_get(attempt, &AskedUsers::Emails(emails)).await
    }

    async fn batch_get(&self, attempt: Attempt, asked: &AskedUsers<'_>) -> Result<Vec<User>, Failed> {
        let request = body(self.request(Method::POST, BATCH_GET, attempt.headers), JSON, asked)?;
        let found: FoundUsers = Answer::of(request).await?.json(200)?;
        Ok(found.users)
    }
}

/// An invalid id has the same code over both protocols. Nothing else can be wrong with a list of ids.
fn of_invalid_id(failed: Failed) -> Failed {
    match failed {
        Failed::Problem(problem) if problem.code == Code::InvalidBatch => {
            Failed::Problem(Box::new(Problem { code: Code::InvalidId, ..*problem }))
        }
        other => other,
    }
}

/// The users to get.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum AskedUsers<'a> {
    Ids(&'a [i64]),
    Emails(&'a [&'a str]),
}

/// The users that were found.
#[derive(Deserialize)]
struct FoundUsers {
    users: Vec<User>,
}

#[derive(Serialize)]
struct Batch<'a> {
    operations: Vec<OperationJson<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    atomic: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum OperationJson<'a> {
    Create(&'a UserFields),
    Update {
        id: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_match: Option<&'a str>,
        patch: &'a UserPatch,
    },
    Delete {
        id: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_match: Option<&'a str>,
    },
}

impl<'a> From<&'a Operation> for OperationJson<'a> {
    fn from(operation: &'a Operation) -> Self {
        let if_match = |etag: &'a Option<Etag>| etag.as_ref().map(Etag::as_str);
        match operation {
            Operation::Create(fields) => Self::Create(fields),
            Operation::Update { id, patch, etag } => Self::Update { id: *id, if_match: if_match(etag), patch },
            Operation::Delete { id, etag } => Self::Delete { id: *id, if_match: if_match(etag) },
        }
    }
}

#[derive(Deserialize)]
struct Answered {
    results: Vec<ResultJson>,
}

#[derive(Deserialize)]
struct ResultJson {
    user: Option<User>,
    #[serde(default)]
    replayed: bool,
    problem: Option<ProblemJson>,
}

impl ResultJson {
    /// `None` if the problem is not the service's.
    fn read(self, answer: &Answer) -> Option<Result<Written, Box<Problem>>> {
        let Some(problem) = self.problem else {
            return Some(Ok(Written { user: self.user, is_replay: self.replayed }));
        };
        let mut problem = problem.into_problem(&answer.headers)?;
        problem.retry_after = problem.code.is_transient().then_some(RETRY_AFTER);
        Some(Err(Box::new(problem)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_are_written_as_the_service_reads_them() {
        let etag = Some(serde_json::from_str::<User>(crate::user::JOHN).unwrap().etag());
        let operations = [
            Operation::create(UserFields::new("Lee", "lee@example.com")),
            Operation::update(4, UserPatch::default().name("Ada"), etag.as_ref()),
            Operation::delete(5, None),
        ];
        let operations = operations.iter().map(OperationJson::from).collect();
        assert_eq!(
            json!(Batch { operations, atomic: false }),
            json!({ "operations": [
                { "create": { "name": "Lee", "email": "lee@example.com" } },
                { "update": { "id": 4, "if_match": "\"1\"", "patch": { "name": "Ada" } } },
                { "delete": { "id": 5 } },
            ] })
        );
    }
}

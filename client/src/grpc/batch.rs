//! Batches over gRPC.

use prost::Message as _;
use tonic::{Code as GrpcCode, Status};

use super::generated::user_operation::Operation as PbOperation;
use super::generated::{BatchGetUsersRequest, BatchWriteUsersRequest, UserOperation, UserOperationResult};
use super::{Grpc, convert, message, request, requests, status};
use crate::call::Attempt;
use crate::error::Failed;
use crate::operation::Operation;
use crate::outcomes::{Results, Written};
use crate::problem::Problem;
use crate::user::User;

impl Grpc {
    /// Takes at most 1,000 operations.
    pub(crate) async fn write_users(
        &self,
        attempt: Attempt,
        operations: &[Operation],
        atomic: bool,
    ) -> Result<Results, Failed> {
        let batch = BatchWriteUsersRequest { operations: operations.iter().map(operation).collect(), atomic };
        let answer = message(self.client().batch_write_users(request(attempt, batch)).await)?;
        let results = answer.results.into_iter().map(result).collect::<Result<_, _>>()?;
        let results = Results::of(operations, results);
        results.ok_or_else(|| Failed::NoAnswer("these are not the results of the operations".into()))
    }

    /// Takes at most 1,000 ids.
    pub(crate) async fn get_users(&self, attempt: Attempt, ids: &[i64]) -> Result<Vec<User>, Failed> {
        self.batch_get(attempt, BatchGetUsersRequest { ids: ids.to_vec(), ..Default::default() }).await
    }

    /// Takes at most 1,000 emails.
    pub(crate) async fn get_users_by_email(&self, attempt: Attempt, emails: &[&str]) -> Result<Vec<User>, Failed> {
        let emails = emails.iter().map(|email| (*email).to_owned()).collect();
        self.batch_get(attempt, BatchGetUsersRequest { emails, ..Default::default() }).await
    }

    async fn batch_get(&self, attempt: Attempt, asked: BatchGetUsersRequest) -> Result<Vec<User>, Failed> {
        convert::users(message(self.client().batch_get_users(request(attempt, asked)).await)?.users)
    }
}

fn operation(operation: &Operation) -> UserOperation {
    let operation = match operation {
        Operation::Create(fields) => PbOperation::Create(requests::create(fields.clone())),
        Operation::Update { id, patch, etag } => {
            PbOperation::Update(requests::update(*id, patch.clone().into(), etag.as_ref()))
        }
        Operation::Delete { id, etag } => PbOperation::Delete(requests::delete(*id, etag.as_ref())),
    };
    UserOperation { operation: Some(operation) }
}

fn result(result: UserOperationResult) -> Result<Result<Written, Box<Problem>>, Failed> {
    let UserOperationResult { user, error, replayed } = result;
    let Some(error) = error else {
        let user = user.map(|user| convert::user(Some(user))).transpose()?;
        return Ok(Ok(Written { user, is_replay: replayed }));
    };
    let details = error.encode_to_vec().into();
    match status::failed(Status::with_details(GrpcCode::from_i32(error.code), error.message, details)) {
        Failed::Problem(problem) => Ok(Err(problem)),
        // The other operations may have been executed.
        _ => Err(Failed::NoAnswer("the reason of a result is not the service's".into())),
    }
}

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::as_of::with_freshness;
use super::batch_caller::BatchCaller;
use super::error_responses::{AtomicErrors, BatchErrors, CommonErrors, JsonErrors, WriteErrors};
use super::held_body::holding;
use super::user::User;
use crate::domain::{self, AsOf, Position, RawOperation, Written};
use crate::http::extract::{BatchWriteBody, Body, Idempotency, with_replay};
use crate::http::problem::{Failure, OperationFailure, OperationKind, Problem};
use crate::service::{self, AtomicError, OperationOutcome, Target};
use crate::storage::{RefusedOperation, Storage};

const PATH: &str = "/api/v2/users:batchWrite";

/// What has become of each operation.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchWriteAnswer {
    /// In the order of the operations.
    results: Vec<OperationResult>,
}

/// What has become of one operation.
#[derive(Serialize, ToSchema)]
struct OperationResult {
    /// The status that a single request would have had.
    #[schema(example = 201)]
    status: u16,
    /// The user, as a create or an update has left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<User>,
    /// Whether the operation was executed earlier, with the same idempotency key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    replayed: bool,
    /// Why the operation was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem>,
}

/// Executes up to 1,000 creates, updates and deletes.
///
/// By default each is executed by itself, and has its own result. Those on one user or one email are executed in their
/// order. With `atomic` all are executed or none: then the answer is a problem that names the operation at fault.
#[utoipa::path(post, path = "/api/v2/users:batchWrite", tag = "version 2", operation_id = "v2_batch_write_users",
    request_body = BatchWriteBody,
    responses(
        (status = OK, description = "The results.", body = BatchWriteAnswer,
            headers(("Events-Position" = i64, description = "A position of the log of events that shows the changes."))),
        BatchErrors, AtomicErrors, JsonErrors, WriteErrors, CommonErrors))]
pub(crate) async fn batch_write_users(
    storage: web::Data<Storage>,
    caller: BatchCaller,
    key: Idempotency,
    body: Body<BatchWriteBody>,
) -> Result<HttpResponse, Failure> {
    let BatchWriteBody { operations, atomic } = body.0;
    let operations = Vec::from_iter(operations.into_iter().map(RawOperation::from));
    let kinds = Vec::from_iter(operations.iter().map(kind));
    let written = if atomic {
        let written = service::batch_write_users_atomically(&storage, operations, key.0).await;
        let written = written.map_err(|error| failure(error, &kinds))?;
        let is_replay = written.is_replay;
        written.map(|users| {
            let executed = |(user, kind): (Option<domain::User>, _)| executed(user, kind, is_replay);
            users.into_iter().zip(kinds).map(executed).collect()
        })
    } else {
        each(service::batch_write_users(&storage, operations, key.0, &caller.id).await?, &kinds)
    };
    let Written { answer, is_replay } = written;
    let freshness = answer.freshness();
    let response = HttpResponse::Ok().json(BatchWriteAnswer { results: answer.value });
    Ok(holding(with_replay(with_freshness(response, &freshness), is_replay), caller.slot))
}

const fn kind(operation: &RawOperation) -> OperationKind {
    match operation {
        RawOperation::Create { .. } => OperationKind::Create,
        RawOperation::Update { .. } => OperationKind::Update,
        RawOperation::Delete { .. } => OperationKind::Delete,
    }
}

/// The results of operations that were executed each by itself. As a whole they are a repetition if all that were
/// executed are.
fn each(outcomes: Vec<OperationOutcome>, kinds: &[OperationKind]) -> Written<Vec<OperationResult>> {
    let (mut position, mut replays, mut others) = (Position::default(), 0, 0);
    let results = outcomes.into_iter().zip(kinds).enumerate().map(|(place, (outcome, kind))| match outcome {
        Ok(Written { answer, is_replay }) => {
            position = position.max(answer.position);
            *if is_replay { &mut replays } else { &mut others } += 1;
            executed(answer.value, *kind, is_replay)
        }
        Err(error) => refused(OperationFailure { place, kind: *kind, error }),
    });
    let results = results.collect();
    Written { answer: AsOf::latest(results, position), is_replay: replays > 0 && others == 0 }
}

fn executed(user: Option<domain::User>, kind: OperationKind, replayed: bool) -> OperationResult {
    let status = match kind {
        OperationKind::Create => StatusCode::CREATED,
        OperationKind::Update => StatusCode::OK,
        OperationKind::Delete => StatusCode::NO_CONTENT,
    };
    OperationResult { status: status.as_u16(), user: user.map(User::from), replayed, problem: None }
}

fn refused(operation: OperationFailure) -> OperationResult {
    let failure = Failure::from(operation);
    let status = failure.status_and_code().0.as_u16();
    OperationResult { status, user: None, replayed: false, problem: Some(Problem::new(&failure, PATH)) }
}

fn failure(error: AtomicError, kinds: &[OperationKind]) -> Failure {
    let kind_at = |place: usize| kinds.get(place).copied().unwrap_or(OperationKind::Create);
    match error {
        AtomicError::Operation(RefusedOperation { place, error }) => {
            OperationFailure { place, kind: kind_at(place), error }.into()
        }
        AtomicError::TouchedTwice { place, target } => {
            let (part, detail) = match (target, kind_at(place)) {
                (Target::Address, OperationKind::Create) => ("create/email", "another operation has this email"),
                (Target::Address, _) => ("update/patch/email", "another operation has this email"),
                (Target::ExternalId, OperationKind::Create) => {
                    ("create/external_id", "another operation has this external id")
                }
                (Target::ExternalId, _) => ("update/patch/external_id", "another operation has this external id"),
                (Target::User, OperationKind::Delete) => ("delete/id", "another operation is about this user"),
                (Target::User, _) => ("update/id", "another operation is about this user"),
            };
            Failure::InvalidBatch { pointer: format!("/operations/{place}/{part}"), detail: detail.into() }
        }
        AtomicError::Batch(error) => error.into(),
    }
}

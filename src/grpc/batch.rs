//! Batches: their operations, and what has become of each.

use prost::Message as _;
use tonic::Status;

use super::convert::user_id;
use super::etag;
use super::failure::Failure;
use super::generated::users::user_operation::Operation;
use super::generated::users::{BatchGetUsersResponse, DeleteUserRequest, User, UserOperation, UserOperationResult};
use super::raw_user;
use super::read_mask::{ReadMask, shown};
use crate::domain::{
    self, AsOf, Email, EmailKey, Error, Expected, MAX_BATCH, Position, RawOperation, UserId, Version, Written,
};
use crate::service::{AtomicError, OperationOutcome, Target};
use crate::storage::RefusedOperation;

/// The kinds of operations, in the order of a batch. They are needed to name what is at fault.
pub(super) type Kinds = Vec<Kind>;

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Create,
    Update,
    Delete,
}

/// The ids and the emails of the users to get.
pub(super) fn asked_users(ids: Vec<i64>, emails: &[String]) -> Result<(Vec<UserId>, Vec<EmailKey>), Failure> {
    if ids.len() + emails.len() > MAX_BATCH {
        return Err(Failure::InvalidField { field: "ids".into(), detail: "must be at most 1000, emails included" });
    }
    let key = |(at, email): (usize, &String)| {
        let field = || format!("emails[{at}]").into();
        Email::parse_to_find(email).map_err(|error| Failure::InvalidField { field: field(), detail: error.detail })
    };
    let ids = ids.into_iter().map(|id| user_id("ids", id)).collect::<Result<_, _>>()?;
    Ok((ids, emails.iter().enumerate().map(key).collect::<Result<_, _>>()?))
}

/// What was found of what was asked for.
pub(super) fn found_users(
    found: AsOf<Vec<Option<domain::User>>>,
    mask: Option<&ReadMask>,
    ids: &[UserId],
    emails: Vec<String>,
) -> AsOf<BatchGetUsersResponse> {
    found.map(|found| {
        let (by_id, by_email) = found.split_at_checked(ids.len()).unwrap_or((&found, &[]));
        let missing_ids = by_id.iter().zip(ids).filter(|(user, _)| user.is_none()).map(|(_, id)| id.get()).collect();
        let missing = by_email.iter().zip(emails).filter(|(user, _)| user.is_none());
        let missing_emails = missing.map(|(_, email)| email).collect();
        BatchGetUsersResponse {
            users: found.into_iter().flatten().map(|user| shown(user, mask)).collect(),
            missing_ids,
            missing_emails,
        }
    })
}

/// The operations of a request.
pub(super) fn raw_operations(operations: Vec<UserOperation>) -> Result<(Vec<RawOperation>, Kinds), Failure> {
    if operations.len() > MAX_BATCH {
        return Err(Failure::InvalidField { field: "operations".into(), detail: "must be at most 1000" });
    }
    let mut kinds = Kinds::with_capacity(operations.len());
    let raw = operations.into_iter().enumerate().map(|(place, UserOperation { operation })| {
        let missing = Failure::InvalidField { field: format!("operations[{place}]").into(), detail: "must be set" };
        let operation = operation.ok_or(missing)?;
        kinds.push(kind(&operation));
        raw_operation(operation).map_err(|failure| failure.within(place, kind_name(kinds.last().copied())))
    });
    let raw = raw.collect::<Result<_, _>>()?;
    Ok((raw, kinds))
}

const fn kind(operation: &Operation) -> Kind {
    match operation {
        Operation::Create(_) => Kind::Create,
        Operation::Update(_) => Kind::Update,
        Operation::Delete(_) => Kind::Delete,
    }
}

const fn kind_name(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Create) | None => "create",
        Some(Kind::Update) => "update",
        Some(Kind::Delete) => "delete",
    }
}

fn raw_operation(operation: Operation) -> Result<RawOperation, Failure> {
    Ok(match operation {
        Operation::Create(request) => {
            let (name, email, profile) = raw_user::of_create(request)?;
            RawOperation::Create { name, email, profile }
        }
        Operation::Update(request) => {
            let (id, expected) = (user_id("id", request.id)?, expected(&request.etag)?);
            let (name, email, profile) = raw_user::of_update(request)?;
            RawOperation::Update { id, expected, name, email, profile }
        }
        Operation::Delete(DeleteUserRequest { id, etag }) => {
            RawOperation::Delete { id: user_id("id", id)?, expected: expected(&etag)? }
        }
    })
}

/// The only version in which an operation is executed, if it matters.
fn expected(etag: &str) -> Result<Option<Version>, Failure> {
    Ok(match etag::expected(etag)? {
        Expected::AnyVersion => None,
        Expected::OneOf(versions) => Some(versions.first().copied().unwrap_or(Version::NEVER)),
    })
}

/// The results of operations that were executed each by itself. As a whole they are a repetition if all that were
/// executed are.
pub(super) fn each(outcomes: Vec<OperationOutcome>, kinds: &Kinds) -> Written<Vec<UserOperationResult>> {
    let (mut position, mut replays, mut others) = (Position::default(), 0, 0);
    let results = outcomes.into_iter().zip(kinds).enumerate().map(|(place, (outcome, kind))| match outcome {
        Ok(Written { answer, is_replay }) => {
            position = position.max(answer.position);
            *if is_replay { &mut replays } else { &mut others } += 1;
            executed(answer.value, is_replay)
        }
        Err(error) => refused(Failure::Operation { field: field_at_fault(place, *kind, &error), error }),
    });
    let results = results.collect();
    Written { answer: AsOf::latest(results, position), is_replay: replays > 0 && others == 0 }
}

pub(super) fn executed(user: Option<domain::User>, replayed: bool) -> UserOperationResult {
    UserOperationResult { user: user.map(User::from), error: None, replayed }
}

fn refused(failure: Failure) -> UserOperationResult {
    let status = Status::from(failure);
    // Its details are a whole google.rpc.Status.
    let error = tonic_types::pb::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::pb::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    });
    UserOperationResult { user: None, error: Some(error), replayed: false }
}

/// Why an atomic batch was refused.
pub(super) fn failure(error: AtomicError, kinds: &Kinds) -> Failure {
    let kind_at = |place: usize| kinds.get(place).copied().unwrap_or(Kind::Create);
    match error {
        AtomicError::Operation(RefusedOperation { place, error }) => {
            Failure::Operation { field: field_at_fault(place, kind_at(place), &error), error }
        }
        AtomicError::TouchedTwice { place, target } => {
            let (field, detail) = match target {
                Target::User => ("id", "another operation is about this user"),
                Target::Address => ("email", "another operation has this email"),
                Target::ExternalId => ("external_id", "another operation has this external id"),
            };
            Failure::InvalidField { field: path(place, kind_at(place), field).into(), detail }
        }
        AtomicError::Batch(error) => error.into(),
    }
}

fn field_at_fault(place: usize, kind: Kind, error: &Error) -> String {
    match error {
        Error::EmailTaken => path(place, kind, "email"),
        Error::ExternalIdTaken => path(place, kind, "external_id"),
        Error::NotFound => path(place, kind, "id"),
        Error::VersionMismatch => path(place, kind, "etag"),
        Error::Invalid(_) | Error::InvalidAttributes(_) => format!("operations[{place}].{}", kind_name(Some(kind))),
        _ => format!("operations[{place}]"),
    }
}

fn path(place: usize, kind: Kind, field: &str) -> String {
    format!("operations[{place}].{}.{field}", kind_name(Some(kind)))
}

//! The use cases of writing many users at once.

use std::collections::HashSet;

use tokio::task::yield_now;

use crate::domain::{Error, IdempotencyKey, OnceEach, Operation, RawOperation, User, Written};
use crate::storage::{RefusedOperation, Storage};
use crate::telemetry::use_case;

/// The user that an operation has left, `None` if it was deleted; or why the operation was refused.
pub type OperationOutcome = Result<Written<Option<User>>, Error>;

/// Executes each operation by itself: once, if there is a key. The outcomes are in the order of the operations.
///
/// Operations on one user or one address are executed in this order. `caller` identifies the caller, whose batches take
/// turns.
///
/// # Errors
/// [`Error::KeyReused`], or the storage's errors: nothing was executed. All others are those of single operations.
pub async fn batch_write_users(
    storage: &Storage,
    operations: Vec<RawOperation>,
    key: Option<IdempotencyKey>,
    caller: &[u8; 32],
) -> Result<Vec<OperationOutcome>, Error> {
    let write = async {
        let count = operations.len();
        let parsed = parse_all(storage, operations).await;
        let once = once_each(key, &parsed, false);
        if let Some(once) = &once {
            storage.check_reuse(once).await?;
        }
        // An outcome that never arrives is unknown.
        let mut outcomes = vec![Err(Error::OutcomeUnknown); count];
        let mut valid = Vec::with_capacity(count);
        for (place, (operation, outcome)) in parsed.into_iter().zip(&mut outcomes).enumerate() {
            match operation {
                Ok(operation) => valid.push((place, operation)),
                Err(error) => *outcome = Err(error),
            }
        }
        for (place, written) in storage.write_each(valid, once.as_ref(), caller).await {
            if let Some(outcome) = outcomes.get_mut(place) {
                *outcome = written;
            }
        }
        Ok(outcomes)
    };
    use_case("batch_write_users", write).await
}

/// Executes all operations in one transaction, or none: once, if there is a key. The users that they have left are in
/// the order of the operations, `None` for one that was deleted.
///
/// Deletes are executed first, then updates, then creates.
///
/// # Errors
/// See [`AtomicError`]. Unless the outcome is unknown, nothing was changed.
pub async fn batch_write_users_atomically(
    storage: &Storage,
    operations: Vec<RawOperation>,
    key: Option<IdempotencyKey>,
) -> Result<Written<Vec<Option<User>>>, AtomicError> {
    let write = async {
        let parsed = parse_all(storage, operations).await;
        let once = once_each(key, &parsed, true);
        let refuse = |(place, operation): (usize, Result<Operation, Error>)| {
            operation.map_err(|error| AtomicError::Operation(RefusedOperation { place, error }))
        };
        let operations = parsed.into_iter().enumerate().map(refuse).collect::<Result<Vec<_>, _>>()?;
        if let Some((place, target)) = touched_twice(&operations) {
            return Err(AtomicError::TouchedTwice { place, target });
        }
        if let Some(once) = &once {
            storage.check_reuse(once).await?;
        }
        if operations.is_empty() {
            // There is nothing to be atomic about, and no transaction for it.
            return Ok(Written::nothing());
        }
        storage.write_all_or_none(operations, once.as_ref()).await?.map_err(AtomicError::Operation)
    };
    use_case("batch_write_users_atomically", write).await
}

/// Why an atomic batch was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtomicError {
    /// One operation was refused.
    Operation(RefusedOperation),
    /// The operation at this place touches what an earlier one touches.
    TouchedTwice { place: usize, target: Target },
    /// The whole batch was refused, or its outcome is unknown.
    Batch(Error),
}

/// What two operations of an atomic batch may not both touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    User,
    Address,
    ExternalId,
}

impl From<Error> for AtomicError {
    fn from(error: Error) -> Self {
        Self::Batch(error)
    }
}

/// Parses the operations. A thousand take milliseconds, so other requests of this thread get their turns in between.
async fn parse_all(storage: &Storage, operations: Vec<RawOperation>) -> Vec<Result<Operation, Error>> {
    const PARSED_AT_ONCE: usize = 50;
    let schema = storage.attributes_schema();
    let mut parsed = Vec::with_capacity(operations.len());
    for operation in operations {
        parsed.push(Operation::parse(operation, schema.as_ref()));
        if parsed.len() % PARSED_AT_ONCE == 0 {
            yield_now().await;
        }
    }
    parsed
}

fn once_each(key: Option<IdempotencyKey>, parsed: &[Result<Operation, Error>], is_atomic: bool) -> Option<OnceEach> {
    const INVALID: i64 = 0;
    let count = i64::try_from(parsed.len()).unwrap_or(i64::MAX);
    key.map(|key| {
        key.once_each(|asked| {
            let asked = asked.number(i64::from(is_atomic)).number(count);
            parsed.iter().fold(asked, |asked, operation| match operation {
                Ok(operation) => operation.add_to(asked),
                Err(_) => asked.number(INVALID),
            })
        })
    })
}

/// The first operation that touches a user, an address or an external id that an earlier one touches.
fn touched_twice(operations: &[Operation]) -> Option<(usize, Target)> {
    let (mut users, mut addresses, mut external_ids) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (place, operation) in operations.iter().enumerate() {
        let (user, email, external_id) = match operation {
            Operation::Create(new) => (None, Some(&new.email), new.external_id()),
            Operation::Update { id, changes, .. } => (Some(*id), changes.email.as_ref(), changes.external_id()),
            Operation::Delete { id, .. } => (Some(*id), None, None),
        };
        if external_id.is_some_and(|external_id| !external_ids.insert(external_id.as_str())) {
            return Some((place, Target::ExternalId));
        }
        if user.is_some_and(|id| !users.insert(id)) {
            return Some((place, Target::User));
        }
        if let Some(email) = email {
            let key = email.key();
            // Two addresses with one key in common conflict.
            let other = key.address_key().filter(|other| *other != key.legacy());
            if [Some(key.legacy()), other].into_iter().flatten().any(|key| !addresses.insert(key.to_owned())) {
                return Some((place, Target::Address));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Assignment, RawProfile, UserId};

    #[test]
    fn users_addresses_and_external_ids_may_be_touched_once() {
        let create_with =
            |email: &str, profile| RawOperation::Create { name: "x".into(), email: email.into(), profile };
        let create = |email: &str| create_with(email, RawProfile::default());
        let update = |id, email: Option<&str>| RawOperation::Update {
            id: UserId::stored(id),
            expected: None,
            name: None,
            email: email.map(str::to_owned),
            profile: RawProfile::default(),
        };
        let delete = |id| RawOperation::Delete { id: UserId::stored(id), expected: None };
        let twice = |operations: Vec<RawOperation>| {
            let parsed = operations.into_iter().map(|operation| Operation::parse(operation, None).unwrap());
            touched_twice(&Vec::from_iter(parsed))
        };
        assert_eq!(twice(vec![create("a@x.org"), update(1, Some("b@x.org")), update(2, None), delete(3)]), None);
        assert_eq!(twice(vec![update(1, None), delete(2), delete(1)]), Some((2, Target::User)));
        assert_eq!(twice(vec![create("a@x.org"), create("A@X.ORG")]), Some((1, Target::Address)));
        assert_eq!(twice(vec![update(1, Some("a@x.org")), create("a@x.org")]), Some((1, Target::Address)));
        let external_id = || RawProfile { external_id: Assignment::Set("x".into()), ..RawProfile::default() };
        let creates = vec![create_with("a@x.org", external_id()), create_with("b@x.org", external_id())];
        assert_eq!(twice(creates), Some((1, Target::ExternalId)));
    }
}

//! Reads gRPC statuses and their google.rpc details.

use std::error::Error;
use std::iter::successors;

use tonic::{Code as GrpcCode, ConnectError, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::call::X_REQUEST_ID;
use crate::error::Failed;
use crate::pointer;
use crate::problem::{Code, FieldError, Problem};

/// The domain of the service's error details.
const DOMAIN: &str = "user-service";

pub(super) fn failed(status: Status) -> Failed {
    if let Some(problem) = problem(&status) {
        return Failed::Problem(Box::new(problem));
    }
    if causes(&status).any(<dyn Error>::is::<ConnectError>) {
        return Failed::NotSent(status.into());
    }
    match status.code() {
        // A proxy sends this before it forwards anything.
        GrpcCode::ResourceExhausted if status.source().is_none() => Failed::HeldUp(status.into()),
        GrpcCode::Unimplemented | GrpcCode::Unauthenticated | GrpcCode::PermissionDenied | GrpcCode::NotFound => {
            Failed::foreign(status.to_string())
        }
        // The connection broke, the deadline passed, or a proxy failed. The service may have executed the request.
        _ => Failed::NoAnswer(status.into()),
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(status.source(), |&cause| cause.source())
}

/// The problem in a status. `None` if the status did not come from the service.
fn problem(status: &Status) -> Option<Problem> {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
    let violations = details.bad_request().map(|request| request.field_violations.as_slice()).unwrap_or_default();
    let (operations, fields): (Vec<_>, Vec<_>) = violations.iter().map(read).unzip();
    let operation = operations.into_iter().flatten().next();
    Some(Problem {
        code: if operation.is_some() { code_in_batch(&info.reason) } else { code(&info.reason, &fields) },
        detail: status.message().to_owned(),
        fields,
        operation,
        trace_id: info.metadata.get("trace_id").cloned(),
        request_id: request_id(status, &details),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
    })
}

/// The reason is REST's code in upper case. Where REST distinguishes parts of a request, the field does here.
fn code(reason: &str, fields: &[FieldError]) -> Code {
    let names = |parts: &[&str]| fields.iter().any(|wrong| parts.contains(&wrong.field.as_str()));
    match reason {
        "INVALID_ARGUMENT" if names(&["id", "ids"]) => Code::InvalidId,
        "INVALID_ARGUMENT" if names(&["emails", "operations"]) => Code::InvalidBatch,
        "INVALID_ARGUMENT" => Code::InvalidQuery,
        other => Code::parse(&other.to_ascii_lowercase()),
    }
}

/// In an operation of a batch, whatever is malformed is the batch's.
fn code_in_batch(reason: &str) -> Code {
    if reason == "INVALID_ARGUMENT" { Code::InvalidBatch } else { code(reason, &[]) }
}

fn read(violation: &FieldViolation) -> (Option<usize>, FieldError) {
    pointer::read(&pointer::of_grpc(&violation.field), violation.description.clone())
}

fn request_id(status: &Status, details: &ErrorDetails) -> String {
    let of_details = details.request_info().map(|info| info.request_id.clone());
    let of_metadata = || Some(status.metadata().get(X_REQUEST_ID.as_str())?.to_str().ok()?.to_owned());
    of_details.or_else(of_metadata).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;

    fn made_by(domain: &str) -> Status {
        let mut details = ErrorDetails::new();
        let metadata = HashMap::from([("trace_id".to_owned(), "4bf92f3577b34da6a3ce929d0e0e4736".to_owned())]);
        details
            .set_error_info("OVERLOADED", domain, metadata)
            .add_bad_request_violation("email", "must be a valid email address")
            .set_retry_info(Some(Duration::from_secs(7)))
            .set_request_info("abc", "");
        Status::with_error_details(GrpcCode::Unavailable, "too much is waiting", details)
    }

    #[test]
    fn all_details_are_read() {
        let expected = Problem {
            code: Code::Overloaded,
            detail: "too much is waiting".into(),
            fields: vec![pointer::read("/email", "must be a valid email address".into()).1],
            operation: None,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            request_id: "abc".into(),
            retry_after: Some(Duration::from_secs(7)),
        };
        assert_eq!(problem(&made_by(DOMAIN)), Some(expected));
    }

    #[test]
    fn codes_equal_those_of_rest() {
        let field = |name: &str| [pointer::read(&pointer::of_grpc(name), String::new()).1];
        assert_eq!(code("INVALID_ARGUMENT", &field("ids")), Code::InvalidId);
        assert_eq!(code("INVALID_ARGUMENT", &field("email")), Code::InvalidQuery);
        assert_eq!(code("INVALID_ARGUMENT", &field("emails[3]")), Code::InvalidBatch);
        assert_eq!(code("EMAIL_TAKEN", &[]), Code::EmailTaken);
        assert_eq!(code_in_batch("INVALID_ARGUMENT"), Code::InvalidBatch);
        assert_eq!(code_in_batch("EMAIL_TAKEN"), Code::EmailTaken);
    }

    #[test]
    fn only_the_service_can_say_that_nothing_was_executed() {
        let of_proxy = || failed(Status::unavailable("no healthy upstream"));
        for failed in [failed(made_by("gateway")), of_proxy()] {
            assert!(matches!(failed, Failed::NoAnswer(_)), "{failed:?}");
            assert!(failed.may_retry() && failed.may_have_happened());
        }
        assert!(!failed(Status::unimplemented("")).may_retry());
        assert!(failed(made_by(DOMAIN)).may_retry() && !failed(made_by(DOMAIN)).may_have_happened());
    }
}

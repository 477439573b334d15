//! Problem details (RFC 9457): the form of a failure everywhere but in version 1.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use super::failure::Failure;
use super::operation::OperationFailure;
use crate::domain::{Error, FieldError, Violation};
use crate::telemetry::Context;

pub(super) const CONTENT: &str = "application/problem+json";

/// Why a request failed (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of problem, as a URI.
    #[schema(example = "urn:user-service:problem:email_taken")]
    r#type: String,
    /// The status in words.
    #[schema(example = "Conflict")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What went wrong with this request, in words for people.
    #[schema(example = "another user has this email")]
    detail: String,
    /// The path of the request.
    #[schema(example = "/api/v2/users")]
    instance: String,
    /// The kind of problem, as a name for programs. It never changes.
    #[schema(example = "email_taken")]
    code: &'static str,
    /// The parts of the body that are wrong, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem>,
    /// The trace that the request belongs to, if there is one (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trace_id: Option<String>,
}

impl Problem {
    /// `path` is that of the request.
    pub(crate) fn new(failure: &Failure, path: &str) -> Self {
        let (status, code) = failure.status_and_code();
        Self {
            r#type: format!("urn:user-service:problem:{code}"),
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: failure.to_string(),
            instance: path.to_owned(),
            code,
            errors: errors(failure),
            trace_id: Context::current().and_then(|context| context.trace).map(|span| span.trace_id.to_string()),
        }
    }
}

fn errors(failure: &Failure) -> Vec<FieldProblem> {
    match failure {
        Failure::InvalidBatch { pointer, detail } => {
            vec![FieldProblem { pointer: pointer.clone(), detail: detail.clone() }]
        }
        Failure::Operation(operation @ OperationFailure { error: Error::Invalid(fields), .. }) => {
            let base = operation.pointer();
            fields.iter().map(|field| FieldProblem::new(&base, field)).collect()
        }
        Failure::Operation(operation @ OperationFailure { error: Error::InvalidAttributes(violations), .. }) => {
            let base = operation.pointer();
            violations.iter().map(|violation| FieldProblem::of_violation(&base, violation)).collect()
        }
        Failure::User(Error::InvalidAttributes(violations)) => {
            violations.iter().map(|violation| FieldProblem::of_violation("", violation)).collect()
        }
        Failure::Operation(operation) => {
            vec![FieldProblem { pointer: operation.pointer(), detail: operation.to_string().into() }]
        }
        Failure::User(Error::ExternalIdTaken) => {
            vec![FieldProblem { pointer: "/external_id".to_owned(), detail: failure.to_string().into() }]
        }
        failure => failure.fields().iter().map(|field| FieldProblem::new("", field)).collect(),
    }
}

/// What is wrong with one part of the body.
#[derive(Debug, Serialize, ToSchema)]
struct FieldProblem {
    /// Its location in the body, as a JSON pointer (RFC 6901).
    #[schema(example = "/email")]
    pointer: String,
    /// Why it was refused.
    #[schema(example = "must be a valid email address")]
    detail: Cow<'static, str>,
}

impl FieldProblem {
    /// `base` is the pointer to the user.
    fn of_violation(base: &str, violation: &Violation) -> Self {
        Self { pointer: format!("{base}{}", violation.pointer), detail: violation.detail.clone().into() }
    }

    /// `base` is the pointer to the user.
    fn new(base: &str, error: &FieldError) -> Self {
        Self { pointer: base.to_owned() + &error.pointer(), detail: error.detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_escapes_what_rfc_6901_reserves() {
        let pointer = |field: Option<&str>| {
            let error = FieldError { field: field.map(str::to_owned), below: String::new(), detail: "" };
            FieldProblem::new("", &error).pointer
        };
        assert_eq!(pointer(None), "");
        assert_eq!(pointer(Some("")), "/");
        assert_eq!(pointer(Some("name")), "/name");
        assert_eq!(pointer(Some("a/b~c")), "/a~1b~0c");
    }
}

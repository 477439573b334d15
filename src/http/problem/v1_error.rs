use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::failure::Failure;
use crate::domain::Error;

/// Why a request failed.
#[derive(Serialize, ToSchema)]
#[schema(as = v1::Error)]
pub(crate) struct V1Error {
    /// The reason, in words for people.
    #[schema(example = "another user has this email")]
    error: String,
}

impl V1Error {
    pub(super) fn new(failure: &Failure) -> Self {
        let fields = Vec::from_iter(failure.fields().iter().map(ToString::to_string));
        Self { error: if fields.is_empty() { failure.to_string() } else { fields.join("; ") } }
    }

    /// Version 1 has one status for everything that is wrong with a body.
    pub(super) const fn status(failure: &Failure) -> StatusCode {
        match failure {
            Failure::User(Error::Invalid(_)) => StatusCode::BAD_REQUEST,
            failure => failure.status_and_code().0,
        }
    }
}

use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest};

use crate::auth::{Bearer, Refused};
use crate::http::problem::Failure;

/// What identifies the caller at every replica, and how long its token remains valid.
pub(super) fn caller(request: &HttpRequest) -> Result<([u8; 32], Duration), Failure> {
    // Left there when the request was authorized.
    let bearer = request.extensions().get::<Bearer>().copied().ok_or(Failure::Refused(Refused::NoToken))?;
    Ok((bearer.id, bearer.time_left()))
}

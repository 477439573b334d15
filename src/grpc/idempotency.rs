//! Idempotency keys, in the metadata of a call: `idempotency-key` of the request, `idempotency-replayed` of the response.
//! They mean what REST's headers of the same names mean.

use tonic::metadata::MetadataValue;
use tonic::{Request, Response};

use super::caller::Admitted;
use super::failure::Failure;
use super::freshness::response;
use crate::auth::Refused;
use crate::domain::{IdempotencyKey, Written};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The key of a call of this method, if it has one.
///
/// # Errors
/// When the key is invalid.
pub(super) fn idempotency_key<T>(request: &Request<T>, method: &str) -> Result<Option<IdempotencyKey>, Failure> {
    let metadata = request.metadata();
    if !metadata.contains_key(IDEMPOTENCY_KEY) {
        return Ok(None);
    }
    // Set when the call was authorized.
    let Admitted { bearer, .. } = request.extensions().get().ok_or(Failure::Refused(Refused::NoToken))?;
    let values = metadata.get_all(IDEMPOTENCY_KEY).into_iter().map(MetadataValue::as_encoded_bytes);
    let detail = "must be one string of 1 to 255 visible ASCII characters";
    IdempotencyKey::parse(values, &bearer.id, method)
        .map_err(|_| Failure::InvalidField { field: IDEMPOTENCY_KEY.into(), detail })
}

/// The response to a write.
pub(super) fn written<T>(Written { answer, is_replay }: Written<T>) -> Response<T> {
    let mut response = response(answer);
    if is_replay {
        response.metadata_mut().insert("idempotency-replayed", MetadataValue::from_static("true"));
    }
    response
}

//! How fresh an answer has to be and is, in the metadata of a call: `cache-control` and `at-least-position` of the request,
//! `events-position` and `age` of the response. They mean what REST's headers of the same names mean.

use tonic::Response;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::failure::Failure;
use crate::domain::{AsOf, Freshness};

const AT_LEAST_POSITION: &str = "at-least-position";

/// How fresh the answer has to be.
///
/// # Errors
/// When `at-least-position` is not one position.
pub(super) fn freshness(metadata: &MetadataMap) -> Result<Freshness, Failure> {
    let values = |name| metadata.get_all(name).into_iter().map(MetadataValue::as_encoded_bytes);
    let detail = "must be one position, as events-position has it";
    Freshness::of_cache_control(values("cache-control"))
        .at_least(values(AT_LEAST_POSITION))
        .map_err(|_| Failure::InvalidField { field: AT_LEAST_POSITION, detail })
}

/// The response with this message.
pub(super) fn response<T>(message: AsOf<T>) -> Response<T> {
    let (position, age) = (message.position.0, message.age_in_seconds());
    let mut response = Response::new(message.value);
    response.metadata_mut().insert("events-position", position.into());
    if let Some(age) = age {
        response.metadata_mut().insert("age", age.into());
    }
    response
}

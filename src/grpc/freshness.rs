//! How fresh an answer has to be and is, in the metadata of a call: `cache-control` and `at-least-position` of the request,
//! `events-position` and `age` of the response. They mean what REST's headers of the same names mean.

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Response, Status};

use super::failure::Failure;
use crate::domain::{AsOf, Error, Freshness};

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
        .map_err(|_| Failure::InvalidField { field: AT_LEAST_POSITION.into(), detail })
}

/// The response with this message.
pub(super) fn response<T>(message: AsOf<T>) -> Response<T> {
    let freshness = message.freshness();
    let mut response = Response::new(message.value);
    add(response.metadata_mut(), &freshness);
    response
}

/// The response with what was found, or `NOT_FOUND`, which is as fresh.
pub(super) fn found_or_not<T, M>(found: AsOf<Option<T>>, message: impl FnOnce(T) -> M) -> Result<Response<M>, Status> {
    let freshness = found.freshness();
    found.transpose().map(|found| response(found.map(message))).ok_or_else(|| {
        let mut status = Status::from(Failure::from(Error::NotFound));
        add(status.metadata_mut(), &freshness);
        status
    })
}

fn add(metadata: &mut MetadataMap, freshness: &AsOf<()>) {
    metadata.insert("events-position", freshness.position.0.into());
    if let Some(age) = freshness.age_in_seconds() {
        metadata.insert("age", age.into());
    }
}

//! Changes that are conditional on one of several versions.

use crate::domain::{Error, Expected, Fingerprint, Freshness, UserId, Version};
use crate::storage::Storage;

/// Tries a change with one version after the other, until one matches.
///
/// Each try is decided by its own statement, with its own deadline. Versions only grow. So if all tries in ascending
/// order fail, there was a point in time at which the user had none of these versions.
///
/// # Errors
/// [`Error::VersionMismatch`] if none matches, otherwise the error of the change.
pub(super) async fn first_that_matches<T, F>(
    storage: &Storage,
    id: UserId,
    mut versions: Vec<Version>,
    change: impl Fn(Version) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    if versions.is_empty() {
        // Without a try, no statement checks whether the user exists.
        storage.get_user(id, &Freshness::LATEST).await?.value.ok_or(Error::NotFound)?;
    }
    versions.sort_unstable();
    for version in versions {
        match change(version).await {
            Err(Error::VersionMismatch) => {}
            outcome => return outcome,
        }
    }
    Err(Error::VersionMismatch)
}

/// Adds the condition of a change to its fingerprint.
pub(super) fn add_expected(asked: Fingerprint, expected: &Expected) -> Fingerprint {
    match expected {
        Expected::AnyVersion => asked.number(-1),
        Expected::OneOf(versions) => {
            let count = asked.number(i64::try_from(versions.len()).unwrap_or(i64::MAX));
            versions.iter().fold(count, |asked, version| asked.number(version.0))
        }
    }
}

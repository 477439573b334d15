use super::{Error, User, UserId, Version};
use crate::storage::Storage;

/// Tries a change with each of these versions, in turn, until one is the user's own.
///
/// Each try is decided by its own statement. Versions only grow, so going through them in ascending order misses none:
/// the change happens if the user's version is among them, at one moment or another of the call.
///
/// # Errors
/// [`Error::VersionMismatch`] when none matches, else what the change answered.
pub(super) async fn first_that_matches<F>(
    storage: &Storage,
    id: UserId,
    mut versions: Vec<Version>,
    change: impl Fn(Version) -> F,
) -> Result<User, Error>
where
    F: Future<Output = Result<User, Error>>,
{
    versions.sort_unstable();
    for version in versions {
        match change(version).await {
            Err(Error::VersionMismatch) => {}
            outcome => return outcome,
        }
    }
    // With nothing to try, no statement has asked yet whether there is such a user at all.
    super::get_user(storage, id).await?;
    Err(Error::VersionMismatch)
}

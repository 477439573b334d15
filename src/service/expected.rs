use crate::domain::{Error, User, UserId, Version};
use crate::storage::Storage;

/// Tries a change with each of these versions, in turn, until one is the user's own.
///
/// Each try is decided by its own statement, and has a deadline of its own. Versions only grow, so when all tries in
/// ascending order miss, there was a moment at which the user's version was none of these.
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
    if versions.is_empty() {
        // Nothing will be tried, so no statement asks whether there is such a user at all.
        super::get_user(storage, id).await?;
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

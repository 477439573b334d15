use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files, which sockets count against, as far as the system allows. Returns the new limit, or
/// `None` if there is none.
///
/// Containers start with 1,024 because `select` cannot handle more. Nothing here uses `select`.
#[must_use]
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

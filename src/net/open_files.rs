use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets the process have as many files open as it may, sockets among them, and returns how many. `None` when there is no limit.
///
/// Containers begin with 1,024, for the sake of programs that use `select`, which can count no further; nothing here does.
#[must_use]
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

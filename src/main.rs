//! The `user-service` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Not the system's: that one keeps what a peak has taken, for each thread apart, and a container is killed for memory that nobody
/// uses.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    user_service::cli::run()
}

//! The `user-service` command.

use std::process::ExitCode;

/// Faster than the system's allocator for the many small strings of a request, and returns memory sooner.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    user_service::cli::run()
}

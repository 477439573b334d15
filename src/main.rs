//! The `user-service` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    user_service::cli::run()
}

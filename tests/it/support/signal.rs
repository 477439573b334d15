use std::process::{Command, Stdio};

/// Sends `TERM`, `KILL`, `STOP` and the like. Returns false if the process does not exist.
pub fn send(signal: &str, process: u32) -> bool {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(process.to_string()).stderr(Stdio::null());
    kill.status().expect("kill").success()
}

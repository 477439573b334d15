use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Sends `TERM`, `KILL`, `STOP` and the like. Returns false if the process does not exist.
pub fn send(signal: &str, process: u32) -> bool {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(process.to_string()).stderr(Stdio::null());
    let is_sent = kill.status().expect("kill").success();
    if is_sent && signal == "STOP" {
        await_stop(process);
    }
    is_sent
}

/// On a busy machine a process that was sent `STOP` may still answer: each of its threads stops when it next runs.
fn await_stop(process: u32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline && !is_stopped(process) {
        sleep(Duration::from_millis(1));
    }
}

/// Whether all threads have stopped, or the process is gone.
fn is_stopped(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return true };
    threads.flatten().all(|thread| {
        // The name of a program, which stands before the state, may contain anything.
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
    })
}

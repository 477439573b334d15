use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::program::Program;

/// strace around a program: it logs system calls on certain files, and has some of them fail.
pub struct Strace {
    log: PathBuf,
}

impl Strace {
    /// Logs in this folder.
    pub fn to(folder: &Path) -> Self {
        Self { log: folder.join("strace") }
    }

    /// Begins a program, and logs these calls on these files; calls that the machine does not have are skipped. `inject` is as
    /// strace's manual says, and counts the calls on these files only, each thread's by themselves.
    ///
    /// strace is the program's grandchild, so that the program remains ours. It runs without `--seccomp-bpf`, with which its
    /// signals are lost.
    pub fn begin(&self, program: Program, calls: &[&str], files: &[PathBuf], inject: Option<&str>) -> Program {
        let calls = Vec::from_iter(calls.iter().map(|call| format!("?{call}")));
        let trace = format!("trace={}", calls.join(","));
        let shown = ["-D", "-f", "-y", "-Y", "-s", "0", "-e", "signal=none"];
        let mut args = Vec::from_iter(shown.into_iter().chain(["-e", &trace, "-o"]).map(OsString::from));
        args.push(self.log.clone().into());
        args.extend(files.iter().flat_map(|file| ["-P".into(), file.into()]));
        args.extend(inject.into_iter().flat_map(|inject| ["-e".into(), format!("inject={inject}").into()]));
        program.begun_by("strace", args)
    }

    /// Whether a call has failed that would not have.
    pub fn has_failed_a_call(&self) -> bool {
        self.has_failed_a_call_of("")
    }

    /// Whether a call of a thread with this name has.
    pub fn has_failed_a_call_of(&self, thread: &str) -> bool {
        let thread = format!("<{thread}");
        self.text().lines().any(|line| line.contains("(INJECTED)") && line.contains(&thread))
    }

    /// What it has logged.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::token::SECRET;

/// The real program, in a folder and an environment that contain nothing of this machine.
pub struct Program(Command);

impl Program {
    pub fn new(dir: &Path) -> Self {
        // A proof may set another build than Cargo's.
        let built = std::env::var_os("TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_user-service").into());
        let mut command = Command::new(built);
        command.env_clear().current_dir(dir).stdin(Stdio::null());
        command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        Self(command)
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub fn envs(mut self, vars: &[(&str, &str)]) -> Self {
        self.0.envs(vars.iter().copied());
        self
    }

    /// Checks tokens with the tests' secret, unless the test has configured keys.
    pub fn with_a_key(self) -> Self {
        let is_said = self
            .0
            .get_envs()
            .any(|(name, _)| ["JWT_", "JWKS_"].iter().any(|it| name.to_string_lossy().starts_with(it)));
        if is_said { self } else { self.env("JWT_SECRET", SECRET) }
    }

    /// Runs the program as a user without root's rights, to whom the modes of files apply. That user becomes the owner
    /// of the folder.
    pub fn without_root(self, folder: &Path) -> Self {
        const NOBODY: u32 = 65534;
        if fs::metadata("/proc/self").expect("/proc").uid() != 0 {
            return self;
        }
        // That user may have no access to the folder in which root built the program.
        let program = folder.join("user-service");
        if !program.exists() {
            let built = self.0.get_program();
            fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(drop)).expect("the program");
        }
        chown(folder, Some(NOBODY), Some(NOBODY)).expect("the folder becomes the user's");
        for entry in fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path != program {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("a file becomes the user's");
            }
        }
        let mut other = Command::new(program);
        other.args(self.0.get_args()).uid(NOBODY).gid(NOBODY);
        Self(self.with_the_rest(other))
    }

    /// Runs the program with these limits of open files.
    pub fn with_open_files(self, soft: usize, hard: usize) -> Self {
        let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
        self.begun_by("sh", ["-c", &script])
    }

    /// Has another program begin it, which finds it and its arguments after its own arguments.
    pub fn begun_by<S: AsRef<OsStr>>(self, other: &str, args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(other);
        command.args(args).arg(self.0.get_program()).args(self.0.get_args());
        Self(self.with_the_rest(command))
    }

    /// Gives another command the same environment.
    fn with_the_rest(&self, mut other: Command) -> Command {
        other.env_clear().stdin(Stdio::null());
        other.envs(self.0.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = self.0.get_current_dir() {
            other.current_dir(dir);
        }
        other
    }

    /// The command, for a program that keeps running.
    pub fn into_command(self) -> Command {
        self.0
    }

    /// Runs a command that ends by itself.
    pub fn run(self) -> Output {
        self.run_into(Stdio::piped())
    }

    /// Runs a command that ends by itself and writes its output to `stdout`.
    pub fn run_into(mut self, stdout: Stdio) -> Output {
        let output = self.0.stdout(stdout).output().expect("the program starts");
        Output {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }
}

#[derive(Debug)]
pub struct Output {
    /// `None` if a signal ended the program.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The one line of stderr about `subject`.
    #[track_caller]
    pub fn line_about(&self, subject: &str) -> &str {
        let about: Vec<&str> = self.stderr.lines().filter(|line| line.contains(subject)).collect();
        assert_eq!(about.len(), 1, "one line about {subject} in {}", self.stderr);
        about[0]
    }
}

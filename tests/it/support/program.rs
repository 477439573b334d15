use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::token::SECRET;

/// The real program, in a folder and an environment that hold nothing of the machine's own.
pub struct Program(Command);

impl Program {
    pub fn new(dir: &Path) -> Self {
        // Cargo's own build, unless a proof is to run another one.
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

    /// Has it check tokens with the tests' secret, unless the test has said anything about that.
    pub fn with_a_key(self) -> Self {
        let is_said = self
            .0
            .get_envs()
            .any(|(name, _)| ["JWT_", "JWKS_"].iter().any(|it| name.to_string_lossy().starts_with(it)));
        if is_said { self } else { self.env("JWT_SECRET", SECRET) }
    }

    /// Begins it as a user to whom files' modes apply, which they do not to root, with a folder that is that user's.
    pub fn without_root(self, folder: &Path) -> Self {
        const NOBODY: u32 = 65534;
        if fs::metadata("/proc/self").expect("/proc").uid() != 0 {
            return self;
        }
        // Where root built it, that user may not get to.
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

    /// Begins it with these limits of open files.
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

    /// Another command, in the same environment.
    fn with_the_rest(&self, mut other: Command) -> Command {
        other.env_clear().stdin(Stdio::null());
        other.envs(self.0.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = self.0.get_current_dir() {
            other.current_dir(dir);
        }
        other
    }

    /// For a program that goes on running.
    pub fn into_command(self) -> Command {
        self.0
    }

    /// For a command that ends by itself.
    pub fn run(self) -> Output {
        self.run_into(Stdio::piped())
    }

    /// For a command that ends by itself, and writes its answer there. Waits for it where else nobody would.
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
    /// `None` when a signal ended it.
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

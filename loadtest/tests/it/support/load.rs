use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::Service;
use super::service::SECRET;

/// The load tester, in a folder of its own.
pub(crate) struct Load {
    folder: TempDir,
}

#[derive(Debug)]
pub(crate) struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// Runs with these arguments, between spaces.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        finish(self.start(arguments))
    }

    /// A run against the service, which writes `report.html` and `report.json`.
    pub(crate) fn against(&self, service: &Service, arguments: &str) -> Output {
        self.run(&format!("--url {} --report report.html {arguments}", service.url()))
    }

    pub(crate) fn start(&self, arguments: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_user-service-loadtest"));
        command.args(arguments.split_whitespace()).current_dir(&self.folder).env("JWT_SECRET", SECRET);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the load tester starts")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        text(&self.path(name))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).expect("JSON")
    }

    pub(crate) fn write(&self, name: &str, value: &Value) {
        std::fs::write(self.path(name), value.to_string()).expect("a file");
    }
}

pub(crate) fn finish(child: Child) -> Output {
    let output = child.wait_with_output().expect("the load tester ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Output {
    #[track_caller]
    pub(crate) fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The error, which must have this in it.
    #[track_caller]
    pub(crate) fn said(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{words:?} in {self:#?}");
        self
    }
}

/// A number of a run's file, by its path.
#[track_caller]
pub(crate) fn number(run: &Value, path: &str) -> f64 {
    run.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path}"))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

//! Commands whose output nobody reads or no disk can hold: they do not panic, and their exit codes are right.

use std::fs::OpenOptions;
use std::io::pipe;
use std::process::Stdio;

use rstest::rstest;

use crate::support::{Database, Db, Program};

/// An output that loses what is written.
#[derive(Clone, Copy, Debug)]
enum Nowhere {
    /// A pipe whose reader has gone.
    Gone,
    /// A disk without room.
    Full,
}

impl Nowhere {
    fn open(self) -> Stdio {
        match self {
            Self::Gone => pipe().unwrap().1.into(),
            Self::Full => OpenOptions::new().write(true).open("/dev/full").unwrap().into(),
        }
    }
}

fn program(database: &Database, args: &[&str]) -> Program {
    database.program().args(args).with_a_key()
}

/// The exit code tells the result of the work, whether or not its output was read.
#[rstest]
#[case(&["migrate"])]
#[case(&["seed", "--count", "20"])]
#[case(&["retry-parked"])]
fn work_that_is_done_is_done(#[case] args: &[&str], #[values(Nowhere::Gone, Nowhere::Full)] stdout: Nowhere) {
    let database = Db::Sqlite.fresh();
    program(&database, &["migrate"]).run().succeeded();
    let output = program(&database, args).run_into(stdout.open()).succeeded();
    assert!(!output.stderr.contains("panicked"), "{output:?}");
}

/// If the output is the whole purpose of a command, losing it is a failure. But a reader that closes the pipe may have
/// read enough.
#[rstest]
#[case(&["token", "--subject", "me", "--scope", "users:read"])]
#[case(&["check-config"])]
#[case(&["--help"])]
#[case(&["seed", "--help"])]
#[case(&["--version"])]
fn an_answer_that_is_lost_is_none(#[case] args: &[&str]) {
    let database = Db::Sqlite.fresh();
    let output = program(&database, args).run_into(Nowhere::Full.open()).exited(1);
    assert!(output.stderr.contains("No space left"), "{output:?}");
    let output = program(&database, args).run_into(Nowhere::Gone.open()).succeeded();
    assert!(!output.stderr.contains("panicked"), "{output:?}");
}

/// A mistake has its exit code, whether or not its message was read.
#[rstest]
#[case(&["serve"], "SERVER_PORT", 2)]
#[case(&["brew"], "", 2)]
#[case(&["healthcheck"], "", 1)]
fn what_is_wrong_has_its_exit_code(
    #[case] args: &[&str],
    #[case] mistaken: &str,
    #[case] code: i32,
    #[values(Nowhere::Gone, Nowhere::Full)] stderr: Nowhere,
) {
    let database = Db::Sqlite.fresh();
    let program = database.program().args(args).env("SERVER_PORT", if mistaken.is_empty() { "1" } else { "nowhere" });
    let status = program.into_command().stderr(stderr.open()).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(code));
}

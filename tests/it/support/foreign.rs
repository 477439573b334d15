use std::path::PathBuf;
use std::process::Command;

use super::program::Output;

/// The Python with the packages of `tests/foreign/requirements.txt`.
pub fn python() -> Command {
    Command::new(tool("TEST_PYTHON"))
}

/// A program in the same folder as that Python.
pub fn beside_python(name: &str) -> Command {
    Command::new(tool("TEST_PYTHON").with_file_name(name))
}

/// The folder with the packages of `tests/foreign/package.json`.
pub fn node_modules() -> PathBuf {
    tool("TEST_NODE_MODULES")
}

fn tool(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run scripts/test")).into()
}

/// Runs a command that ends by itself.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/test"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Output { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

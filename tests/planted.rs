//! Each planted fault still applies to the sources: one that no longer does would convict nobody, and nobody would notice.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot continue should fail with a message")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of patches, and the lines that each patch begins with, which the scripts read.
const PLANTED: &[(&str, &[&str])] =
    &[("tests/consistency/planted", &["# fault: ", "# run: "]), ("models/planted", &["# fault: "])];

#[test]
fn every_planted_fault_applies() {
    for &(folder, heads) in PLANTED {
        let patches = patches(folder);
        assert!(patches.len() > 10, "{folder} has only {patches:?}");
        let faults = Vec::from_iter(patches.iter().filter_map(|patch| fault(patch, heads)));
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// What is wrong with a patch.
fn fault(patch: &Path, heads: &[&str]) -> Option<String> {
    let text = fs::read_to_string(patch).expect("a patch is UTF-8");
    let lacking = heads.iter().zip(text.lines()).find(|(head, line)| !line.starts_with(**head));
    if let Some((head, line)) = lacking {
        return Some(format!("{}: {line:?} should begin with {head:?}", patch.display()));
    }
    // As the scripts apply it, but changes nothing, asks nothing, and does not take a patch for one that is applied already.
    let output = Command::new("patch")
        .args(["--dry-run", "--forward", "--batch", "--strip=1", "--directory"])
        .arg(root())
        .stdin(File::open(patch).expect("a patch"))
        .output()
        .expect("patch, which build-essential brings");
    let said = String::from_utf8_lossy(&output.stdout);
    (!output.status.success()).then(|| format!("{} does not apply:\n{said}", patch.display()))
}

fn patches(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension() == Some(OsStr::new("patch"))).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

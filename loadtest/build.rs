//! Tells the source which commit it is.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=USER_SERVICE_COMMIT");
    let commit = std::env::var("USER_SERVICE_COMMIT").ok().or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| std::path::Path::new(log).exists());
    // Without a repository nothing can change the answer; without this line, any change of a file would ask again.
    println!("cargo:rerun-if-changed={}", log.as_deref().unwrap_or("build.rs"));
    println!("cargo:rustc-env=LOADTEST_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

//! Tells cargo what the source depends on besides itself, and the source which commit it is.

use std::path::Path;
use std::process::Command;

fn main() {
    // They are embedded, and the macro that embeds them cannot say so.
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-env-changed=USER_SERVICE_COMMIT");
    // Where there is no repository, as in an image's build, the environment may tell.
    let commit = std::env::var("USER_SERVICE_COMMIT").ok().or_else(head).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=USER_SERVICE_COMMIT={commit}");
}

fn head() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    // It grows with every commit and checkout. A file that is missing would have everything built anew every time.
    if Path::new(&log).exists() {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

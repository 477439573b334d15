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
    // The binary is loaded anywhere in memory, so it has tens of thousands of places to adjust then. Packed, their list
    // takes a twentieth of its 1.1 MB.
    if adjusts_packed_places() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the C library that the binary will be loaded with can: glibc since 2.36.
fn adjusts_packed_places() -> bool {
    // Which one another machine has is not known here.
    if std::env::var_os("HOST") != std::env::var_os("TARGET") {
        return false;
    }
    let Ok(output) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return false };
    let version = String::from_utf8_lossy(&output.stdout);
    let numbers = version.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    numbers.is_some_and(|(major, minor)| major == "2" && minor.parse::<u32>().is_ok_and(|minor| minor >= 36))
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

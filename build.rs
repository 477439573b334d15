//! Tells cargo which files the build depends on, and the source which commit it is; and packs the description of the API.
#![allow(clippy::expect_used, reason = "a build that cannot go on should fail with a message")]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() {
    // The migrations are embedded, and the macro that embeds them cannot tell cargo.
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-env-changed=USER_SERVICE_COMMIT");
    // Without a repository, as in the build of an image, the environment may name the commit.
    let commit = std::env::var("USER_SERVICE_COMMIT").ok().or_else(head).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=USER_SERVICE_COMMIT={commit}");
    // A tenth of its size in the binary. Once somebody asks for it, it is unpacked.
    pack("src/http/openapi/generated.json").expect("the description of the API can be packed");
    // The binary is loaded at any address, so tens of thousands of addresses in it are relocated. Packed, their list
    // takes a twentieth of its 1.1 MB.
    if supports_packed_relocations() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Compresses a file into the folder of what is built.
fn pack(path: &str) -> io::Result<()> {
    println!("cargo:rerun-if-changed={path}");
    let name = Path::new(path).file_name().ok_or(io::ErrorKind::NotFound)?;
    let folder = std::env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    let packed = File::create(Path::new(&folder).join(name).with_added_extension("gz"))?;
    let mut encoder = GzEncoder::new(packed, Compression::best());
    encoder.write_all(&fs::read(path)?)?;
    encoder.finish().map(drop)
}

/// Whether the C library that loads the binary supports packed relocations: glibc since 2.36.
fn supports_packed_relocations() -> bool {
    // The library of another machine is unknown.
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
    // The log grows with every commit and checkout. Naming a missing file would rebuild everything every time.
    if Path::new(&log).exists() {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

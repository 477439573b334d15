//! The code that is made of proto/, as it lies in the repository: to build needs neither protoc nor the time to make it.
//!
//! After a change of a `.proto`: `UPDATE_GENERATED=1 cargo test --test generated`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

use std::fs;
use std::path::{Path, PathBuf};

use protox::Compiler;
use tonic_prost_build::Builder;

const PROTO: &str = "users/v1/users.proto";

#[test]
fn what_is_made_of_the_proto_is_up_to_date() {
    let mut compiler = Compiler::new([root().join("proto")]).unwrap();
    compiler.include_imports(true).open_file(PROTO).unwrap();
    let for_reflection = compiler.encode_file_descriptor_set();
    // With the comments, which become docs.
    compiler.include_source_info(true);
    let generate = |builder: Builder| {
        let folder = tempfile::tempdir().unwrap();
        builder.out_dir(folder.path()).compile_fds(compiler.file_descriptor_set()).unwrap();
        fs::read(folder.path().join("users.v1.rs")).unwrap()
    };
    let builder = || tonic_prost_build::configure().build_transport(false);
    let files = [
        ("src/grpc/generated/users.v1.rs", generate(builder().build_client(false))),
        ("src/grpc/generated/descriptors.bin", for_reflection),
        ("client/src/grpc/generated/users.v1.rs", generate(builder().build_server(false))),
    ];
    let stale = Vec::from_iter(files.iter().filter(|(path, content)| is_stale(path, content)).map(|(path, _)| path));
    assert!(stale.is_empty(), "{stale:?}: UPDATE_GENERATED=1 cargo test --test generated");
}

/// Whether a file does not hold what it should, and is not to be mended.
fn is_stale(path: &str, content: &[u8]) -> bool {
    let path = root().join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    }
    fs::read(path).ok().as_deref() != Some(content)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

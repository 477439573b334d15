//! The code generated from proto/ is in the repository, so a build needs neither protoc nor the time to generate it. So is
//! the description of the REST API, which the program then need not make.
//!
//! After a change to a `.proto` or a route: `UPDATE_GENERATED=1 cargo test --test generated`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot continue should fail with a message")]

use std::fs;
use std::path::{Path, PathBuf};

use protox::Compiler;
use tonic_prost_build::Builder;
use user_service::http::openapi;

const USERS: &str = "users/v1/users.proto";
const HEALTH: &str = "grpc/health/v1/health.proto";

#[test]
fn what_is_made_of_the_proto_is_up_to_date() {
    let mut compiler = Compiler::new([root().join("proto")]).unwrap();
    compiler.include_imports(true).open_files([USERS, HEALTH]).unwrap();
    let for_reflection = compiler.encode_file_descriptor_set();
    // Includes the comments, which become docstrings.
    compiler.include_source_info(true);
    let generate = |package: &str, builder: Builder| {
        let folder = tempfile::tempdir().unwrap();
        // Made already, with what reads and writes the details.
        let builder = builder.extern_path(".google.rpc", "::tonic_types::pb");
        let builder = builder.build_transport(false).out_dir(folder.path());
        builder.compile_fds(compiler.file_descriptor_set()).unwrap();
        fs::read(folder.path().join(package).with_added_extension("rs")).unwrap()
    };
    let server = || tonic_prost_build::configure().build_client(false).codec_path("crate::grpc::codec::SmallBuffers");
    let client = || tonic_prost_build::configure().build_server(false);
    let files = [
        ("src/grpc/generated/users.v1.rs", generate("users.v1", server())),
        ("src/grpc/generated/grpc.health.v1.rs", generate("grpc.health.v1", server())),
        ("src/grpc/generated/descriptors.bin", for_reflection),
        ("client/src/grpc/generated/users.v1.rs", generate("users.v1", client())),
    ];
    let stale = Vec::from_iter(files.iter().filter(|(path, content)| is_stale(path, content)).map(|(path, _)| path));
    assert!(stale.is_empty(), "{stale:?}: UPDATE_GENERATED=1 cargo test --test generated");
}

#[test]
fn the_description_of_the_api_is_up_to_date() {
    let path = "src/http/openapi/generated.json";
    assert!(!is_stale(path, openapi().as_bytes()), "{path}: UPDATE_GENERATED=1 cargo test --test generated");
}

/// Whether a file differs from its expected content. Updates the file first if `UPDATE_GENERATED` is set.
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

//! Clients generated from `/openapi.json`, with the generators and compilers that other teams use.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Answered, App, Db, TOKEN, beside_python, file_of, node_modules, python, run};

/// A folder with the document that the server serves.
async fn folder_with_document(app: &App) -> TempDir {
    let dir = TempDir::new().expect("a temporary folder");
    let document = app.get("/openapi.json").answer().await.expect(200).text.clone();
    fs::write(dir.path().join("openapi.json"), document).expect("the document");
    dir
}

#[tokio::test]
async fn openapi_typescript_makes_a_client() {
    let app = App::start(Db::Sqlite).await;
    let dir = folder_with_document(&app).await;
    symlink(node_modules(), dir.path().join("node_modules")).expect("node_modules");
    for file in ["package.json", "tsconfig.json", "check.ts"] {
        fs::copy(file_of("tests/foreign").join(file), dir.path().join(file)).expect(file);
    }
    let node = |arguments: &[&str]| run(Command::new("node").args(arguments).current_dir(dir.path())).succeeded();
    node(&["node_modules/openapi-typescript/bin/cli.js", "openapi.json", "--output", "api.ts"]);
    node(&["node_modules/typescript/bin/tsc"]);
    node(&["compiled/check.js", &format!("http://{}", app.address()), &TOKEN]);
}

#[tokio::test]
async fn openapi_python_client_makes_a_client() {
    let app = App::start(Db::Sqlite).await;
    let dir = folder_with_document(&app).await;
    let mut generate = beside_python("openapi-python-client");
    generate.args(["generate", "--path=openapi.json", "--meta=none", "--output-path=generated", "--fail-on-warning"]);
    generate.arg("--config").arg(file_of("tests/foreign/generator.yml")).current_dir(dir.path());
    run(&mut generate).succeeded();
    let mut client = python();
    client.arg(file_of("tests/foreign/rest_client.py")).arg(format!("http://{}", app.address())).arg(&*TOKEN);
    run(client.env("PYTHONPATH", dir.path())).succeeded();
}

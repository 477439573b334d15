//! Clients of users.v1 in other languages, which share no code with the server.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{App, Db, Output, TOKEN, beside_python, claims, file_of, python, run, token};

/// Calls that succeed in this order, and a part of each answer.
const GOOD: [(&str, &str, &str); 6] = [
    ("CreateUser", r#"{"name": "Ada", "email": "ada@example.com"}"#, r#""etag": "\"1\"""#),
    ("GetUser", r#"{"id": 1}"#, r#""name": "Ada""#),
    ("BatchGetUsers", r#"{"ids": [2, 1]}"#, r#""id": "1""#),
    ("ListUsers", r#"{"email": "ADA@example.com", "include_total": true}"#, r#""total": "1""#),
    ("UpdateUser", r#"{"id": 1, "name": "Ada King", "update_mask": {"paths": ["name"]}}"#, r#""name": "Ada King""#),
    ("DeleteUser", r#"{"id": 1, "etag": "\"2\""}"#, "{"),
];

/// Calls that fail, and their codes. No user is left by then.
const BAD: [(&str, &str, &str); 7] = [
    ("CreateUser", r#"{"name": "Ada"}"#, "InvalidArgument"),
    ("GetUser", r#"{"id": 1}"#, "NotFound"),
    ("BatchGetUsers", r#"{"ids": [0]}"#, "InvalidArgument"),
    ("ListUsers", r#"{"page_token": "damaged"}"#, "InvalidArgument"),
    ("UpdateUser", r#"{"id": 1, "name": "Ada"}"#, "NotFound"),
    ("DeleteUser", r#"{"id": 1, "etag": "1"}"#, "InvalidArgument"),
    ("WatchUsers", r#"{"after": 1000000}"#, "OutOfRange"),
];

fn grpcurl(app: &App, flags: &[&str], what: &[&str]) -> Output {
    run(beside_python("grpcurl").args(["-plaintext", "-max-time", "20"]).args(flags).arg(app.grpc_address()).args(what))
}

/// grpcurl has no `.proto`: it learns the messages by reflection.
#[tokio::test]
async fn grpcurl_needs_no_more_than_reflection() {
    let app = App::start(Db::Sqlite).await;
    let services = grpcurl(&app, &[], &["list"]).succeeded().stdout;
    for service in ["users.v1.UserService", "grpc.health.v1.Health"] {
        assert!(services.lines().any(|line| line == service), "{service} is not in {services}");
    }
    let health = grpcurl(&app, &[], &["grpc.health.v1.Health/Check"]).succeeded().stdout;
    assert!(health.contains("SERVING"), "{health}");

    let bearer = format!("authorization: Bearer {}", *TOKEN);
    let call = |method: &str, message: &str, flags: &[&str]| {
        let flags = [&["-H", &bearer, "-d", message], flags].concat();
        grpcurl(&app, &flags, &[&format!("users.v1.UserService/{method}")])
    };
    for (method, message, told) in GOOD {
        let answer = call(method, message, &[]).succeeded().stdout;
        assert!(answer.contains(told), "{method} {message}: {told} is not in {answer}");
    }
    let watched = call("WatchUsers", r#"{"after": 0}"#, &["-max-time", "1"]);
    let told = ["EVENT_TYPE_USER_CREATED", "EVENT_TYPE_USER_UPDATED", "EVENT_TYPE_USER_DELETED"];
    assert!(told.iter().all(|event| watched.stdout.contains(event)), "{watched:?}");
    assert!(watched.stderr.contains("Code: DeadlineExceeded"), "{watched:?}");
    for (method, message, code) in BAD {
        let answer = call(method, message, &[]);
        assert!(answer.stderr.contains(&format!("Code: {code}\n")), "{method} {message}: {code}: {answer:?}");
    }
    let anonymous = grpcurl(&app, &[], &["users.v1.UserService/ListUsers"]);
    assert!(anonymous.stderr.contains("Code: Unauthenticated\n"), "{anonymous:?}");
}

/// grpcurl uses reflection `v1alpha`; newer clients use `v1`.
#[tokio::test]
async fn buf_curl_reads_the_newer_reflection() {
    let app = App::start(Db::Sqlite).await;
    let mut curl = beside_python("buf");
    curl.args(["curl", "--protocol=grpc", "--http2-prior-knowledge", "--reflect", "--reflect-protocol=grpc-v1"]);
    curl.args(["--header", &format!("authorization: Bearer {}", *TOKEN), "--data", r#"{"include_total": true}"#]);
    curl.arg(format!("http://{}/users.v1.UserService/ListUsers", app.grpc_address()));
    let page = run(&mut curl).succeeded().stdout;
    assert!(page.contains(r#""total": "0""#), "{page}");
}

/// Generates code from the `.proto` with protoc and its plugin for Python.
fn generate(dir: &TempDir) {
    let out = |option: &str| format!("{option}={}", dir.path().display());
    let mut generate = python();
    generate.args(["-m", "grpc_tools.protoc", "--proto_path=proto", "users/v1/users.proto"]);
    generate.args([out("--python_out"), out("--grpc_python_out")]);
    run(generate.current_dir(file_of("."))).succeeded();
}

/// The client calls every method, then watches until the server ends.
#[tokio::test]
async fn grpcio_makes_a_client() {
    let app = App::start(Db::Sqlite).await;
    let dir = TempDir::new().expect("a temporary folder");
    generate(&dir);
    let mut client = python();
    client.arg(file_of("tests/foreign/grpc_client.py")).args([
        app.grpc_address(),
        &*TOKEN,
        &token(&claims("users:read")),
    ]);
    let client: &mut Command = client.env("PYTHONPATH", dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = client.spawn().expect("the client starts");
    let mut said = String::new();
    BufReader::new(client.stdout.take().expect("stdout is piped")).read_line(&mut said).expect("stdout is UTF-8");
    if said == "watching\n" {
        app.signal("TERM");
    }
    let ended = client.wait_with_output().expect("the client ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

//! The service's half of the contract with its clients: it answers the requests in `client/tests/contract/*.json` as
//! these files say. The client's own tests check the client against the same files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use reqwest::{Method, Response};
use rstest::rstest;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::{Answered as _, App, Db};

#[rstest]
#[tokio::test]
async fn every_file_is_kept(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("client/tests/contract");
    let mut kept = 0;
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        // After a failure, the last line printed names the file.
        eprintln!("{}", file.display());
        keep(db, &file).await;
        kept += 1;
    }
    assert!(kept > 0);
}

async fn keep(db: Db, file: &Path) {
    let contract: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let app = App::start(db).await;
    for user in contract["given"].as_array().unwrap() {
        app.post("/api/v2/users", user).answer().await.body(201);
    }
    for exchange in contract["exchanges"].as_array().unwrap() {
        let response = send(&app, &exchange["request"]).await;
        let golden = &exchange["answer"];
        assert_eq!(response.status().as_u16(), golden["status"], "{response:?}");
        for (name, value) in golden["headers"].as_object().unwrap() {
            assert_eq!(response.headers().get(name).unwrap().to_str().unwrap(), value, "{name}");
        }
        if let Some(blocks) = golden["stream"].as_array() {
            compare_stream(blocks, response).await;
        } else if let Some(golden) = golden["lines"].as_array() {
            let text = response.text().await.unwrap();
            assert_eq!(golden.len(), text.lines().count(), "{text}");
            for (golden, line) in golden.iter().zip(text.lines()) {
                compare("", golden, &serde_json::from_str(line).unwrap());
            }
        } else {
            let body = response.bytes().await.unwrap();
            // An empty body counts as `null`.
            compare("", &golden["body"], &serde_json::from_slice(&body).unwrap_or_default());
        }
    }
}

async fn send(app: &App, request: &Value) -> Response {
    let method = Method::from_bytes(request["method"].as_str().unwrap().as_bytes()).unwrap();
    let mut sent = app.request(method, request["path"].as_str().unwrap());
    for (name, value) in request["headers"].as_object().unwrap() {
        sent = sent.header(name, value.as_str().unwrap());
    }
    if let Some(body) = request.get("body") {
        sent = sent.body(body.to_string());
    }
    if let Some(lines) = request["lines"].as_array() {
        sent = sent.body(String::from_iter(lines.iter().map(|line| format!("{line}\n"))));
    }
    sent.send().await.unwrap()
}

/// Compares the first blocks of a stream that does not end.
async fn compare_stream(golden: &[Value], mut response: Response) {
    let mut text = String::new();
    while text.matches("\n\n").count() < golden.len() {
        let piece = timeout(Duration::from_secs(15), response.chunk()).await.expect("a chunk in time");
        text.push_str(std::str::from_utf8(&piece.unwrap().expect("another chunk")).unwrap());
    }
    for (golden, block) in golden.iter().zip(text.split("\n\n")) {
        let golden = golden.as_str().unwrap();
        assert_eq!(golden.lines().count(), block.lines().count(), "{block}");
        for (golden, line) in golden.lines().zip(block.lines()) {
            compare_line(golden, line);
        }
    }
}

fn compare_line(golden: &str, line: &str) {
    let ((name, golden), (same, value)) = (golden.split_once(": ").unwrap(), line.split_once(": ").unwrap());
    assert_eq!(name, same);
    match name {
        "data" => compare("", &serde_json::from_str(golden).unwrap(), &serde_json::from_str(value).unwrap()),
        // The service picks a random time.
        "retry" => assert!(value.parse::<u32>().is_ok(), "{line}"),
        _ => assert_eq!(golden, value, "{name}"),
    }
}

/// Compares two values, except for parts that vary and text for people.
fn compare(name: &str, golden: &Value, value: &Value) {
    match (golden, value) {
        (Value::Object(golden), Value::Object(members)) => {
            assert_eq!(Vec::from_iter(golden.keys()), Vec::from_iter(members.keys()), "{name}");
            for (name, golden) in golden {
                compare(name, golden, &members[name]);
            }
        }
        (Value::Array(golden), Value::Array(items)) => {
            assert_eq!(golden.len(), items.len(), "{name}: {items:?}");
            for (golden, item) in golden.iter().zip(items) {
                compare(name, golden, item);
            }
        }
        (Value::String(golden), Value::String(text)) => compare_text(name, golden, text),
        _ => assert_eq!(golden, value, "{name}"),
    }
}

fn compare_text(name: &str, golden: &str, text: &str) {
    let is_time = |text: &str| text.ends_with('Z') && DateTime::parse_from_rfc3339(text).is_ok();
    let is_id = |text: &str| Uuid::parse_str(text).is_ok_and(|id| id.get_version_num() == 7);
    if name == "detail" {
        assert!(!text.is_empty());
    } else if is_time(golden) {
        assert!(is_time(text) && text.len() == golden.len(), "{name}: {text}");
    } else if is_id(golden) {
        assert!(is_id(text), "{name}: {text}");
    } else {
        assert_eq!(golden, text, "{name}");
    }
}

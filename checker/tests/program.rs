//! The program: what it reads, says and writes, and what it exits with.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CREATED: &str = r#"{"client":0,"protocol":"rest","operation":{"kind":"create","name":"a-1","email":"a@x.io"},"start":1000000,"end":2000000,"outcome":{"kind":"user","id":7,"name":"a-1","email":"a@x.io","version":1}}"#;
const RENAMED: &str = r#"{"client":1,"protocol":"grpc","operation":{"kind":"patch","id":7,"name":"a-2"},"start":3000000,"end":4000000,"outcome":{"kind":"user","id":7,"name":"a-2","email":"a@x.io","version":2}}"#;
const STALE: &str = r#"{"client":2,"protocol":"rest","operation":{"kind":"get","id":7},"start":5000000,"end":6000000,"outcome":{"kind":"user","id":7,"name":"a-1","email":"a@x.io","version":1}}"#;
const EVENT: &str = r#"{"reader":"sse","channel":"sse","position":1,"event_id":"e","type":"created","id":7,"version":1,"name":"a-1","email":"a@x.io","time":2500000}"#;

fn file(name: &str, lines: &[&str]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

fn run(arguments: &[&Path]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_user-service-checker")).args(arguments).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn a_right_history() {
    let (code, text) = run(&[&file("right", &[CREATED, RENAMED])]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("linearizable: 2 calls in 1 partitions"), "{text}");
}

#[test]
fn a_wrong_history_is_drawn() {
    let html = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.html");
    let (code, text) = run(&[&file("wrong", &[CREATED, RENAMED, STALE]), Path::new("--html"), &html]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(">>>   #2 client 2 5.000–6.000 ms: get 7 → 7v1 a-1 a@x.io"), "{text}");
    assert!(text.contains("user 7 is 7v2 a-2 a@x.io"), "{text}");
    assert!(std::fs::read_to_string(html).unwrap().contains("<svg"));
}

#[test]
fn a_missing_event() {
    let history = file("told", &[CREATED, RENAMED]);
    let (code, text) = run(&[&history, Path::new("--events"), &file("events", &[EVENT])]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("EventMissing: sse: no event of 7v2 a-2 a@x.io"), "{text}");
}

#[test]
fn not_decided() {
    let (code, text) = run(&[&file("bounded", &[CREATED, RENAMED]), Path::new("--states"), Path::new("1")]);
    assert_eq!(code, Some(3), "{text}");
}

#[test]
fn nothing_to_judge() {
    assert_eq!(run(&[Path::new("/nowhere")]).0, Some(2));
    let (code, text) = run(&[&file("malformed", &[CREATED, "{}"])]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.starts_with("line 2: missing field"), "{text}");
}

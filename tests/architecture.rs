//! Who may import whom, read from the source as text. ARCHITECTURE.md says why; change a rule there and here together.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

use std::path::{Path, PathBuf};

/// What the files under a path may name: of this crate, besides their own folder, and of the [`GUARDED`] crates.
struct Rule {
    /// Starts the paths, from `src/` on, of the files that it is for. The longest one that fits a file decides.
    of: &'static str,
    modules: &'static [&'static str],
    crates: &'static [&'static str],
}

const fn rule(of: &'static str, modules: &'static [&'static str], crates: &'static [&'static str]) -> Rule {
    Rule { of, modules, crates }
}

/// Crates, by the start of their names, that only some files may name.
const GUARDED: &[&str] = &[
    "actix",
    "crossbeam",
    "diesel",
    "governor",
    "hyper",
    "jsonwebtoken",
    "lapin",
    "opentelemetry",
    "prometheus",
    "prost",
    "r2d2",
    "rustls",
    "tokio_rustls",
    "tonic",
    "tracing",
    "ureq",
    "utoipa",
];

const RULES: &[Rule] = &[
    // Types and errors of the domain name nothing; the use cases call the storage.
    rule("users/", &[], &[]),
    rule("users/create_user.rs", &["storage::Storage", "telemetry::use_case"], &[]),
    rule("users/delete_user.rs", &["storage::Storage", "telemetry::use_case"], &[]),
    rule("users/expected.rs", &["storage::Storage"], &[]),
    rule("users/get_user.rs", &["storage::Storage", "telemetry::use_case"], &[]),
    rule("users/get_users.rs", &["storage::Storage", "telemetry::use_case"], &[]),
    rule("users/list_users.rs", &["storage::Storage", "telemetry::use_case"], &[]),
    rule("users/update_user.rs", &["storage::Storage", "telemetry::use_case"], &[]),
    // No HTTP here, and not the actix crates: an actor is a thread.
    rule("storage/", &["metrics", "telemetry", "users"], &["crossbeam", "diesel", "r2d2"]),
    // How an answer travels back, whatever it is: no database.
    rule("storage/reply.rs", &[], &[]),
    // The storage's handle is passed on to the use cases; only readiness is asked of it.
    rule(
        "http/",
        &["auth", "events", "metrics", "net", "storage::Readiness", "storage::Storage", "telemetry", "users"],
        &["actix", "tokio_rustls", "utoipa"],
    ),
    // The same, and neither knows the other.
    rule(
        "grpc/",
        &["auth", "events", "metrics", "net", "storage::Readiness", "storage::Storage", "telemetry", "users"],
        &["hyper", "prost", "tonic"],
    ),
    // On the workers that serve HTTP.
    rule("grpc/listener.rs", &["net"], &["actix", "tokio_rustls"]),
    // The application of HTTP, asked by another way.
    rule("lambda/", &["http::Application", "telemetry::Traces"], &["actix", "ureq"]),
    // What listeners have in common knows no protocol that is spoken over them.
    rule("net/", &[], &["rustls"]),
    // It only reads the log; no HTTP here, and the broker in one place.
    rule("events/", &["metrics", "net::Draining", "storage", "telemetry", "users"], &[]),
    rule("events/relay/", &["events", "metrics", "storage", "telemetry", "users"], &["lapin"]),
    // No HTTP here: a token is text, whichever protocol brought it.
    rule("auth/", &["metrics", "proxy"], &["governor", "jsonwebtoken", "ureq"]),
    // Everybody may count, so it names nobody.
    rule("metrics/", &[], &["prometheus"]),
    rule("metrics/requests.rs", &[], &["actix", "prometheus"]),
    // It silences parts of others, by their names.
    // Everybody may log, so it names nobody; and nobody else makes spans.
    rule("telemetry/", &["proxy"], &["governor", "opentelemetry", "tracing", "ureq"]),
    rule("telemetry/logs.rs", &["users::Timestamp"], &["actix", "lapin", "rustls", "tracing"]),
    rule("healthcheck.rs", &["http::Settings"], &["ureq"]),
    rule("seed.rs", &["answer", "storage", "users"], &[]),
    rule("config/", &["auth", "events", "grpc", "http", "lambda::RuntimeApi", "net::Tls", "storage", "telemetry"], &[]),
    rule("answer.rs", &[], &[]),
    rule("proxy.rs", &[], &["ureq"]),
    rule(
        "cli.rs",
        &["answer", "auth", "config", "healthcheck", "seed", "server", "storage", "telemetry"],
        &["actix", "rustls"],
    ),
    // It wires the others together.
    rule(
        "server.rs",
        &["auth", "config", "events", "grpc", "http", "lambda", "metrics", "net", "signals", "storage", "telemetry"],
        &["actix", "prometheus"],
    ),
    rule("signals.rs", &[], &[]),
    // The doors that fuzz/ comes in by.
    rule("fuzzing.rs", &["http::body", "users"], &[]),
    rule("lib.rs", &[], &[]),
    rule("main.rs", &["cli"], &[]),
];

#[test]
fn nobody_imports_what_is_not_theirs() {
    let breaches = Vec::from_iter(sources().iter().flat_map(|(file, text)| breaches(file, text)));
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn every_rule_is_for_some_file() {
    let files = sources();
    for rule in RULES {
        assert!(files.iter().any(|(file, _)| file.starts_with(rule.of)), "{}", rule.of);
    }
}

/// Nothing waits for a batch to fill: the actor takes what is there. Only what is set aside has a time, in `actor/mail.rs`.
#[test]
fn no_timer_fills_a_batch() {
    let text = std::fs::read_to_string(source_folder().join("storage/actor.rs")).unwrap();
    let code = code(&text);
    let timer = words(&code).find(|word| {
        ["after", "interval", "sleep", "tick", "Duration", "Instant"].contains(word)
            || word.contains("deadline")
            || word.contains("timeout")
    });
    assert_eq!(timer, None);
}

/// Who uses the client builds neither the server nor what it stands on.
#[test]
fn the_client_depends_on_no_server() {
    let manifest = std::fs::read_to_string(source_folder().with_file_name("client").join("Cargo.toml")).unwrap();
    let named = manifest.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    let server =
        named.filter(|name| *name == "user-service" || name.starts_with("actix") || name.starts_with("diesel"));
    assert_eq!(Vec::from_iter(server), Vec::<&str>::new());
    assert!(!manifest.contains("path = "), "it is a package that can be published");
}

#[test]
fn a_breach_is_found() {
    let count = |file, text| breaches(file, text).len();
    assert_eq!(count("users/email.rs", "use crate::storage::Storage;"), 1);
    assert_eq!(count("users/email.rs", "//! See [`crate::storage`], actix and diesel."), 0);
    assert_eq!(count("users/get_user.rs", "use crate::{http, storage::Storage};"), 1);
    assert_eq!(count("storage/row.rs", "use actix_web::web;\nuse crate::http::Settings;"), 2);
    assert_eq!(count("http/v1/get_user.rs", "use crate::storage::{DatabaseUrl, Storage};"), 1);
    assert_eq!(count("http/path.rs", "let row = diesel_migrations::run(); r2d2::Pool"), 2);
    assert_eq!(count("http/v2/etag.rs", "use super::super::super::config::Config;"), 1);
    assert_eq!(count("cache/mod.rs", ""), 1, "a file without a rule");
    assert_eq!(count("grpc/get_user.rs", "use crate::http::Settings;\nuse actix_web::web;"), 2);
    assert_eq!(count("storage/mod.rs", "trait UserRepository {}"), 1);
}

/// All that a file names and may not.
fn breaches(file: &str, text: &str) -> Vec<String> {
    let Some(rule) = RULES.iter().filter(|rule| file.starts_with(rule.of)).max_by_key(|rule| rule.of.len()) else {
        return vec![format!("{file}: no rule says what it may import")];
    };
    let code = code(text);
    let own = file.split(['/', '.']).next().unwrap_or_default();
    let may_name = |path: &str| {
        let within = |module: &str| path == module || path.starts_with(&format!("{module}::"));
        within(own) || rule.modules.iter().any(|module| within(module))
    };
    let may_use = |word: &str| {
        let guard = GUARDED.iter().find(|name| word.starts_with(**name));
        guard.is_none_or(|name| rule.crates.contains(name))
    };
    let mut found = Vec::from_iter(paths(&code).into_iter().filter(|path| !may_name(path)));
    found.extend(words(&code).filter(|word| !may_use(word)).map(str::to_owned));
    // Use cases call the storage, never the other way round; types start with a capital.
    let is_use_case =
        |path: &&String| path.strip_prefix("users::").is_some_and(|name| name.starts_with(char::is_lowercase));
    found.extend(paths(&code).iter().filter(is_use_case).filter(|_| own == "storage").cloned());
    // A trait for one implementation hides where the work is done.
    found.extend(words(&code).filter(|word| word.ends_with("Repository")).map(str::to_owned));
    // It would lead out of the folder without naming the crate.
    found.extend(code.contains("super::super").then(|| "super::super".to_owned()));
    found.iter().map(|name| format!("{file} names {name}")).collect()
}

/// The text without the lines that are comments.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|char: char| !char.is_alphanumeric() && char != '_')
}

/// The paths into this crate: `crate::a::{b, c}` is `a::b` and `a::c`.
fn paths(code: &str) -> Vec<String> {
    let code = code.replace("user_service::", "crate::");
    let mut paths = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_' && char != ':');
        let (start, rest) = rest.split_at(end.unwrap_or(rest.len()));
        match rest.strip_prefix('{').and_then(|list| list.split_once('}')) {
            None => paths.push(start.to_owned()),
            Some((list, _)) => {
                assert!(!list.contains('{'), "lists within lists are not read: {list}");
                let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
                paths.extend(items.map(|item| format!("{start}{item}")));
            }
        }
    }
    paths
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file: its path from `src/` on, and its text.
fn sources() -> Vec<(String, String)> {
    let root = source_folder();
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.push((name, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()));
            }
        }
    }
    files
}

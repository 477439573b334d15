//! Which folder may import which, checked against the text of the sources. ARCHITECTURE.md gives the reasons; change a
//! rule in both places.
#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot continue should fail with a message")]

mod sources;

use std::collections::{BTreeMap, BTreeSet};

use sources::{Source, Sources};

/// A folder of `src/`, or one of its files, with its submodules.
struct Room {
    path: &'static str,
    /// Other rooms that it imports.
    imports: &'static [&'static str],
    /// Crates of [`GUARDED`] that it names.
    crates: &'static [&'static str],
}

const fn room(path: &'static str, imports: &'static [&'static str], crates: &'static [&'static str]) -> Room {
    Room { path, imports, crates }
}

/// Crates that only some rooms may name, by the start of their names.
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

/// From the bottom up: a room imports only rooms before it.
const ROOMS: &[Room] = &[
    // Pure: types that parse, errors, events, pages.
    room("domain", &[], &[]),
    // Users as files, in memory: pure, too.
    room("transfer", &["domain"], &[]),
    // All rooms may use these, so these name no other room.
    room("metrics", &[], &["actix", "prometheus"]),
    room("net", &[], &["rustls"]),
    room("output", &[], &[]),
    room("proxy", &[], &["ureq"]),
    room("signals", &[], &[]),
    // The only room that makes spans. It names other crates to silence their logs.
    room("telemetry", &["proxy"], &["actix", "governor", "lapin", "opentelemetry", "rustls", "tracing", "ureq"]),
    // No HTTP here: a token is text, whichever protocol carries it.
    room("auth", &["metrics", "proxy"], &["governor", "jsonwebtoken", "ureq"]),
    // No HTTP in storage, and no actix: an actor is a thread.
    // Below the database, whose commits, files and events it is told of. Only its tests name Diesel: they commit.
    room("storage/user_cache", &["domain", "metrics"], &["diesel"]),
    room(
        "storage/database",
        &["domain", "metrics", "storage/user_cache", "telemetry"],
        &["crossbeam", "diesel", "r2d2"],
    ),
    room("storage/engine", &["domain", "metrics", "storage/database", "telemetry"], &["crossbeam", "diesel"]),
    room("storage/event_log", &["domain", "metrics", "storage/database", "telemetry"], &["diesel", "r2d2"]),
    room("storage/read", &["domain", "storage/database", "storage/engine", "storage/user_cache"], &["diesel"]),
    room(
        "storage/write",
        &[
            "domain",
            "metrics",
            "storage/database",
            "storage/engine",
            "storage/event_log",
            "storage/user_cache",
            "telemetry",
        ],
        &["diesel"],
    ),
    room(
        "storage",
        &[
            "domain",
            "metrics",
            "storage/database",
            "storage/engine",
            "storage/event_log",
            "storage/read",
            "storage/user_cache",
            "storage/write",
            "telemetry",
        ],
        &["diesel"],
    ),
    room("service", &["domain", "metrics", "storage", "telemetry", "transfer"], &[]),
    room("events/format", &["domain"], &[]),
    room("events/relay", &["domain", "events/format", "metrics", "storage", "telemetry"], &["lapin"]),
    room("events", &["domain", "events/format", "events/relay", "metrics", "net", "storage", "telemetry"], &[]),
    // The two protocols do not know each other.
    room(
        "grpc",
        &["auth", "domain", "events", "metrics", "net", "service", "storage", "telemetry"],
        &["actix", "hyper", "prost", "tokio_rustls", "tonic"],
    ),
    room("http/problem", &["auth", "domain", "telemetry"], &["actix", "utoipa"]),
    room("http/connection", &["net"], &["actix", "tokio_rustls"]),
    room("http/extract", &["auth", "domain", "http/problem"], &["actix", "utoipa"]),
    room("http/v1", &["domain", "http/extract", "http/problem", "service", "storage"], &["actix", "utoipa"]),
    room(
        "http/v2",
        &["auth", "domain", "events", "http/extract", "http/problem", "net", "service", "storage", "transfer"],
        &["actix", "utoipa"],
    ),
    room("http/pages", &["domain", "http/extract", "http/problem", "metrics", "net", "storage"], &["actix", "utoipa"]),
    room("http/openapi", &["http/pages", "http/problem", "http/v1", "http/v2"], &["actix", "utoipa"]),
    room(
        "http/middleware",
        &["auth", "domain", "http/connection", "http/extract", "http/problem", "metrics", "net", "telemetry"],
        &["actix"],
    ),
    room(
        "http",
        &[
            "auth",
            "http/connection",
            "http/extract",
            "http/middleware",
            "http/openapi",
            "http/pages",
            "http/problem",
            "http/v1",
            "http/v2",
            "metrics",
            "net",
            "telemetry",
        ],
        &["actix"],
    ),
    // Drives the application of `http` without a listener.
    room("lambda", &["http", "telemetry"], &["actix", "ureq"]),
    room("healthcheck", &["http"], &["ureq"]),
    room("seed", &["domain", "output", "storage"], &[]),
    room("attribute_indexes", &["domain", "output", "storage"], &[]),
    room("check_attributes", &["domain", "output", "storage"], &[]),
    room("export", &["output", "storage", "transfer"], &[]),
    room("import", &["domain", "metrics", "output", "service", "storage", "transfer"], &["actix"]),
    room("config", &["auth", "events", "grpc", "http", "lambda", "net", "storage", "telemetry"], &[]),
    // The functions that fuzz/ calls.
    room("fuzzing", &["domain", "http"], &[]),
    // Wires the other rooms together.
    room(
        "server",
        &[
            "auth",
            "config",
            "events",
            "grpc",
            "http",
            "lambda",
            "metrics",
            "net",
            "signals",
            "service",
            "storage",
            "telemetry",
        ],
        &["actix", "prometheus"],
    ),
    room(
        "cli",
        &[
            "attribute_indexes",
            "auth",
            "check_attributes",
            "config",
            "domain",
            "export",
            "healthcheck",
            "import",
            "output",
            "seed",
            "server",
            "storage",
            "telemetry",
            "transfer",
        ],
        &["actix", "rustls"],
    ),
    room("main", &["cli"], &[]),
    room("lib", &[], &[]),
];

#[test]
fn a_room_imports_only_what_its_rule_names() {
    let sources = Sources::read("src");
    let breaches = Vec::from_iter(sources.iter().flat_map(|source| breaches(source, &sources)));
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// A file that no `mod` names is not compiled, and its tests never run.
#[test]
fn every_file_is_a_module() {
    for folder in ["src", "client/src", "loadtest/src", "tests/it"] {
        let sources = Sources::read(folder);
        let texts = BTreeMap::from_iter(sources.iter().map(|source| (source.path.as_str(), source.text.as_str())));
        let forgotten = Vec::from_iter(texts.keys().filter(|path| !is_module(path, &texts)));
        assert!(forgotten.is_empty(), "{folder}: {forgotten:?}");
    }
}

/// Whether the file above names this one as a module, or any names it by its path.
fn is_module(path: &str, texts: &BTreeMap<&str, &str>) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    if matches!(path, "lib.rs" | "main.rs") {
        return true;
    }
    let (folder, module) = match (file, folder.rsplit_once('/')) {
        ("mod.rs", Some((above, folder))) => (above, folder),
        ("mod.rs", None) => ("", folder),
        _ => (folder, file.trim_end_matches(".rs")),
    };
    let above = ["lib.rs", "main.rs", "mod.rs"]
        .map(|file| if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") });
    let above = above.into_iter().chain([format!("{folder}.rs")]);
    let declaration = format!("mod {module};");
    let is_declared = above.into_iter().any(|above| {
        texts.get(above.as_str()).is_some_and(|text| text.lines().any(|line| line.trim().ends_with(&declaration)))
    });
    is_declared || texts.values().any(|text| text.contains(&format!("{file}\"")))
}

#[test]
fn rules_point_down_only() {
    for (at, Room { path, imports, .. }) in ROOMS.iter().enumerate() {
        for import in *imports {
            let below = ROOMS.iter().take(at).any(|room| room.path == *import);
            assert!(below, "{path} imports {import}, which is not before it");
            assert!(!path.starts_with(&format!("{import}/")), "{path} imports {import}, which contains it");
        }
    }
}

#[test]
fn every_rule_is_needed() {
    let sources = Sources::read("src");
    for Room { path, imports, crates } in ROOMS {
        let files =
            Vec::from_iter(sources.iter().filter(|source| room_of(source).is_some_and(|room| room.path == *path)));
        assert!(!files.is_empty(), "there is no {path}");
        let imported = files.iter().flat_map(|source| rooms_imported(source, &sources));
        let imported = BTreeSet::from_iter(imported.map(|room| room.path));
        let unused = Vec::from_iter(imports.iter().filter(|import| !imported.contains(**import)));
        assert!(unused.is_empty(), "{path} does not import {unused:?}");
        let named = |name: &&&str| files.iter().any(|source| source.words().any(|word| word.starts_with(**name)));
        let unused = Vec::from_iter(crates.iter().filter(|name| !named(name)));
        assert!(unused.is_empty(), "{path} does not name {unused:?}");
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for folder in ["src", "client/src", "loadtest/src"] {
        let sources = Sources::read(folder);
        assert_eq!(sources.circle_of_files(), None, "in {folder}");
    }
}

#[test]
fn no_folder_imports_one_above_it() {
    let sources = Sources::read("src");
    // The files in the root are rooms themselves.
    let is_in_root = |found: &String| found.rsplit(' ').next().is_some_and(|file| !file.contains('/'));
    let upwards = Vec::from_iter(sources.imports_upwards().into_iter().filter(|found| !is_in_root(found)));
    assert!(upwards.is_empty(), "{}", upwards.join("\n"));
    assert_eq!(sources.circle_of_folders(), None);
}

/// Nothing waits for a batch to fill: an actor takes what waits in its mailbox. Only messages that are set aside, and
/// the end of the actors, have a time.
#[test]
fn no_timer_fills_a_batch() {
    const TIMERS: &[&str] =
        &["after", "interval", "park_timeout", "recv_deadline", "recv_timeout", "sleep", "sleep_until", "tick"];
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in Sources::read("src").iter().filter(|source| source.path.starts_with("storage/engine/")) {
        for word in source.words().filter(|word| TIMERS.contains(word)) {
            found.entry(source.path.clone()).or_default().insert(word.to_owned());
        }
    }
    let expected = [
        // The time until the next message that is set aside.
        ("storage/engine/gather.rs", &["recv_deadline", "sleep"][..]),
        // The wait for the end of the actors.
        ("storage/engine/actors.rs", &["sleep"]),
    ];
    let expected = expected.map(|(file, words)| (file.to_owned(), words.iter().map(ToString::to_string).collect()));
    assert_eq!(found, BTreeMap::from(expected));
}

/// A program that uses the client builds neither the server nor the crates of the server.
#[test]
fn the_client_depends_on_no_server() {
    let tree =
        ["tree", "--package", "user-service-client", "--edges", "normal", "--prefix", "none", "--locked", "--offline"];
    let tree =
        std::process::Command::new(env!("CARGO")).args(tree).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let mut packages = tree.lines().filter_map(|line| line.split(' ').next());
    assert!(packages.clone().count() > 10, "{tree}");
    let server = |name: &&str| *name == "user-service" || name.starts_with("actix") || name.starts_with("diesel");
    assert_eq!(packages.find(server), None);
}

#[test]
fn a_breach_is_found() {
    let sources = Sources::read("src");
    let count = |path: &str, text: &str| breaches(&Source::new(path, text), &sources).len();
    assert_eq!(count("domain/email.rs", "use crate::storage::Storage;"), 1);
    assert_eq!(count("domain/email.rs", "//! See [`crate::storage`], actix and diesel."), 0);
    assert_eq!(count("service/get_user.rs", "use crate::{http, storage::Storage};"), 1);
    assert_eq!(count("storage/database/row.rs", "use actix_web::web;\nuse crate::http::routes;"), 2);
    assert_eq!(count("storage/database/row.rs", "use crate::storage::engine::lane::Lane;"), 1);
    assert_eq!(count("storage/engine/lane.rs", "use crate::storage::Storage;"), 1);
    assert_eq!(count("http/v1/get_user.rs", "let row = diesel_migrations::run(); r2d2::Pool"), 2);
    assert_eq!(count("http/v2/etag.rs", "use super::super::super::config::Config;"), 2);
    assert_eq!(count("cache/mod.rs", ""), 1, "a file without a rule");
    assert_eq!(count("storage/mod.rs", "trait UserRepository {}"), 1);
}

/// What a file names although its rule forbids it.
fn breaches(source: &Source, sources: &Sources) -> Vec<String> {
    let Some(room) = room_of(source) else {
        return vec![format!("{}: no rule says what it may import", source.path)];
    };
    let mut found = Vec::new();
    for imported in rooms_imported(source, sources) {
        if imported.path != room.path && !room.imports.contains(&imported.path) {
            found.push(imported.path.to_owned());
        }
    }
    for word in source.words() {
        let guard = GUARDED.iter().find(|name| word.starts_with(**name));
        // A trait for one implementation hides where the work is done.
        if guard.is_some_and(|name| !room.crates.contains(name)) || word.ends_with("Repository") {
            found.push(word.to_owned());
        }
    }
    // Such a path leaves the room without naming the crate.
    found.extend(source.text.contains("super::super").then(|| "super::super".to_owned()));
    found.iter().map(|name| format!("{} names {name}", source.path)).collect()
}

/// The room of a file: the one with the longest path that contains it.
fn room_of(source: &Source) -> Option<&'static Room> {
    let within =
        |room: &&Room| source.path.strip_prefix(room.path).is_some_and(|rest| rest.starts_with('/') || rest == ".rs");
    ROOMS.iter().filter(within).max_by_key(|room| room.path.len())
}

fn rooms_imported(source: &Source, sources: &Sources) -> Vec<&'static Room> {
    let mut rooms = Vec::from_iter(source.imports(sources).iter().filter_map(|file| room_of(sources.get(file)?)));
    rooms.sort_by_key(|room| room.path);
    rooms.dedup_by_key(|room| room.path);
    rooms
}

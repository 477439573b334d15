//! Links between documents lead to existing files and headings, and the short documents stay short.
#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot continue should fail with a message")]

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The documents: these files, and every `.md` below these folders.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benches",
    "client",
    "deploy",
    "docs",
    "fuzz",
    "loadtest",
    "migrations",
    "models",
    "src",
    "tests",
    "vendor/README.md",
];

/// Code that names documents by their paths from the root, as in `docs/runbook.md#userservicedown`.
const CODE: &[&str] = &["benches", "client/src", "deploy", "loadtest", "scripts", "src", "tests"];

/// The beginnings of such paths.
const NAMED: &[&str] =
    &["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/", "migrations/README.md", "vendor/README.md"];

#[test]
fn every_link_leads_somewhere() {
    let documents = files(DOCUMENTS, is_markdown);
    assert!(documents.len() > 20, "only {documents:?}");
    let broken = Vec::from_iter(documents.iter().flat_map(|document| broken_links(document, &read(document))));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_document_that_code_names_exists() {
    let code = files(CODE, |path| !is_markdown(path) && path != Path::new("tests/documents.rs"));
    let broken = code.iter().flat_map(|file| {
        let text = String::from_utf8_lossy(&fs::read(root().join(file)).unwrap()).into_owned();
        let broken = named_documents(&text).filter_map(|target| fault(Path::new(""), target));
        Vec::from_iter(broken.map(|fault| format!("{}: {fault}", file.display())))
    });
    let broken = Vec::from_iter(broken);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_readme_leads_to_every_document() {
    let readme = read(Path::new("README.md"));
    let linked = HashSet::<String>::from_iter(links(&readme));
    for document in files(&["docs"], is_markdown) {
        let path = document.to_str().unwrap();
        // The decisions have their own list.
        let is_listed = path.starts_with("docs/decisions/") && !path.ends_with("/README.md");
        assert!(is_listed || linked.contains(path), "the README does not link to {path}");
    }
}

#[test]
fn every_decision_is_in_the_list() {
    let list = read(Path::new("docs/decisions/README.md"));
    let linked = HashSet::<String>::from_iter(links(&list));
    for decision in files(&["docs/decisions"], is_markdown) {
        let name = decision.file_name().and_then(OsStr::to_str).unwrap();
        assert!(name == "README.md" || linked.contains(name), "the list does not have {name}");
    }
}

#[test]
fn the_short_documents_are_short() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        let lines = read(Path::new(document)).lines().count();
        assert!(lines <= 200, "{document} has {lines} lines");
    }
    let architecture = read(Path::new("ARCHITECTURE.md"));
    let (_, glossary) = architecture.split_once("\n## Glossary\n").unwrap();
    let rows = glossary.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    let terms = rows.count() - 2;
    assert!((1..=15).contains(&terms), "the glossary has {terms} terms");
}

#[test]
fn a_broken_link_is_found() {
    let good = "# A *title*, `code`\n\n[a](#a-title-code) [b](docs/api.md#names) [c](https://example.com/x.md)
        ![d](docs/performance.svg) [e][f]\n\n[f]: docs/events.md\n\n```\n[not](a/link.md)\n```\n`[nor](this.md)`\n";
    assert_eq!(broken_links(Path::new("x.md"), good), Vec::<String>::new());
    for bad in [
        "#nothing",
        "docs/nothing.md",
        "docs/api.md#nothing",
        "../outside.md",
        "/docs/api.md",
        "docs/performance.svg#a",
    ] {
        for text in [format!("[a]({bad})"), format!("![a]({bad})"), format!("| [a]({bad}) |\n| --- |")] {
            assert_eq!(broken_links(Path::new("x.md"), &text).len(), 1, "{text}");
        }
    }
    assert_eq!(broken_links(Path::new("docs/x.md"), "[a](docs/api.md) [b](api.md) [c](../README.md)").len(), 1);
    let named = "// See docs/nothing.md#a, `docs/api.md#names`.\nurl: /docs/{file}, include!(\"../docs/x.md\")";
    assert_eq!(Vec::from_iter(named_documents(named)), ["docs/nothing.md#a", "docs/api.md#names"]);
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# What /ready says\n## `/api/v2/users`: 1.5 × more\n## Same\n## Same\n## Straße_a - b\n";
    let wanted = ["what-ready-says", "apiv2users-15--more", "same", "same-1", "straße_a---b"];
    assert_eq!(anchors(text), HashSet::from(wanted.map(str::to_owned)));
}

/// The broken links of a document, whose path is relative to the root.
fn broken_links(document: &Path, text: &str) -> Vec<String> {
    let folder = document.parent().unwrap();
    let fault_of = |link: String| match link.strip_prefix('#') {
        Some(anchor) => (!anchors(text).contains(anchor)).then(|| format!("{link}: no such heading")),
        None => fault(folder, &link),
    };
    let faults = links(text).into_iter().filter(|link| !link.contains("://")).filter_map(fault_of);
    Vec::from_iter(faults.map(|fault| format!("{}: {fault}", document.display())))
}

/// Why a link to another file is broken.
fn fault(folder: &Path, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let Some(target) = resolved(folder, path).filter(|target| root().join(target).exists()) else {
        return Some(format!("{link}: no such file"));
    };
    let is_there = anchor.is_none_or(|anchor| is_markdown(&target) && anchors(&read(&target)).contains(anchor));
    (!is_there).then(|| format!("{link}: no such heading"))
}

/// The path relative to the root, or `None` if it leads out of the root.
fn resolved(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut target = folder.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::ParentDir if target.pop() => {}
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(target)
}

/// The targets of a document's links and pictures.
fn links(text: &str) -> Vec<String> {
    let target = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    };
    Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(target).collect()
}

/// The anchors that GitHub gives the headings of a document.
fn anchors(text: &str) -> HashSet<String> {
    let (mut anchors, mut heading) = (HashSet::new(), None);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            (Event::End(TagEnd::Heading(_)), Some(text)) => {
                let kept =
                    text.to_lowercase().replace(|char: char| !(char.is_alphanumeric() || " -_".contains(char)), "");
                let anchor = kept.replace(' ', "-");
                let again = (1..).map(|number| format!("{anchor}-{number}"));
                let free = std::iter::once(anchor.clone()).chain(again).find(|anchor| !anchors.contains(anchor));
                anchors.extend(free);
                heading = None;
            }
            _ => {}
        }
    }
    anchors
}

/// The documents that a file names, if the file is not itself a document.
fn named_documents(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || "_-./#".contains(char)));
    let words = words.map(|word| word.trim_end_matches(['.', '#']));
    words.filter(|word| word.contains(".md") && NAMED.iter().any(|start| word.starts_with(start)))
}

/// The files that are wanted, among these paths and below these folders.
fn files(paths: &[&str], wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let (mut open, mut found) = (Vec::from_iter(paths.iter().map(PathBuf::from)), Vec::new());
    while let Some(path) = open.pop() {
        if !root().join(&path).is_dir() {
            found.extend(Some(path).filter(|path| wanted(path)));
        } else if !["node_modules", "target", "__pycache__"].iter().any(|name| path.ends_with(name)) {
            let entries = fs::read_dir(root().join(&path)).unwrap();
            open.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
        }
    }
    found
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn read(document: &Path) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{}: {error}", document.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

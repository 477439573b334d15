//! `/`: the live page, without the internet.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;

use crate::support::{Answer, Answered, App, Db};

/// The texts between double quotes. Comments have none.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| line.split('"').skip(1).step_by(2))
}

fn is_script(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "js")
}

/// The paths of the assets that the page names, and of those that they import.
async fn assets(app: &App) -> BTreeSet<String> {
    let page = app.get("/").answer().await.text;
    let mut found: BTreeSet<String> =
        quoted(&page).filter(|text| text.starts_with("live/")).map(|text| format!("/{text}")).collect();
    let mut unread = Vec::from_iter(found.iter().filter(|path| is_script(path) && !path.contains("uplot")).cloned());
    while let Some(path) = unread.pop() {
        let script = app.get(&path).answer().await.text;
        for import in quoted(&script).filter_map(|text| text.strip_prefix("./")) {
            let path = format!("/live/{import}");
            if found.insert(path.clone()) {
                unread.push(path);
            }
        }
    }
    found
}

fn assert_is_a_page_of_ours(answer: &Answer, content_type: &str) {
    assert_eq!(answer.expect(200).header("content-type"), content_type);
    let policy = answer.header("content-security-policy");
    for rule in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.split("; ").any(|one| one == rule), "{rule} is not in {policy}");
    }
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.text.is_empty());
    for line in answer.text.lines().filter(|line| !line.starts_with("/*!")) {
        assert!(!line.contains("http://") && !line.contains("https://"), "a foreign URL: {line}");
    }
}

#[tokio::test]
async fn the_page_and_its_assets_come_from_here() {
    let app = App::start(Db::Sqlite).await;
    assert_is_a_page_of_ours(&app.anonymous(Method::GET, "/").answer().await, "text/html; charset=utf-8");
    let assets = assets(&app).await;
    assert_eq!(assets.len(), 9, "{assets:?}");
    for path in assets {
        let content_type = if is_script(&path) { "text/javascript" } else { "text/css" };
        let answer = app.anonymous(Method::GET, &path).answer().await;
        assert_is_a_page_of_ours(&answer, &format!("{content_type}; charset=utf-8"));
    }
}

/// The content security policy forbids inline scripts and styles.
#[tokio::test]
async fn nothing_is_inline() {
    let app = App::start(Db::Sqlite).await;
    let page = app.get("/").answer().await.text;
    for inline in ["<script>", "<style", " style=", " onload=", " onclick="] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn what_the_page_leads_to_is_there() {
    let app = App::start(Db::Sqlite).await;
    let page = app.get("/").answer().await.text;
    for path in ["docs/", "openapi.json", "metrics", "health", "ready"] {
        assert!(page.contains(&format!("href=\"{path}\"")), "{path}");
        app.get(&format!("/{path}")).answer().await.expect(200);
    }
}

#[tokio::test]
async fn there_is_nothing_else() {
    let app = App::start(Db::Sqlite).await;
    for path in ["/live", "/live/", "/live/nothing.js", "/live/index.html", "/live/uplot/LICENSE"] {
        app.get(path).answer().await.problem(404, "route_not_found");
    }
    app.request(Method::POST, "/").answer().await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn every_metric_that_it_reads_is_there() {
    let app = App::start(Db::Sqlite).await;
    app.get("/api/v2/users").answer().await.expect(200);
    let script = app.get("/live/metrics.js").answer().await.text;
    let is_metric = |text: &&str| {
        let known = ["http_", "db_", "process_", "user_service_"].iter().any(|start| text.starts_with(start));
        known && text.chars().all(|char| char.is_ascii_lowercase() || char == '_')
    };
    let names = BTreeSet::from_iter(quoted(&script).filter(is_metric));
    assert!(names.len() >= 10, "{names:?}");
    let metrics = app.metrics().await;
    let there = BTreeSet::from_iter(metrics.series().filter_map(|series| series.split('{').next()));
    assert_eq!(names.difference(&there).collect::<Vec<_>>(), Vec::<&&str>::new());
}

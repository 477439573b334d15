//! `/metrics`: which requests are counted. No client can add series.

use std::collections::BTreeSet;

use reqwest::Method;
use rstest::rstest;

use crate::support::{Answered, App, Db, at_once, user};

const TOTAL: &str = "http_requests_total";
const COUNT: &str = "http_request_duration_seconds_count";

fn labels<'a>(method: &'a str, route: &'a str, status: &'a str) -> [(&'a str, &'a str); 3] {
    [("method", method), ("route", route), ("status", status)]
}

#[rstest]
#[tokio::test]
async fn known_routes_are_there_at_zero(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let metrics = app.metrics().await;
    let item = ["GET", "PUT", "DELETE"];
    for route in ["/api/v1/users", "/api/v1/users/{id}", "/api/v2/users", "/api/v2/users/{id}"] {
        let methods: &[&str] = if route.ends_with("{id}") { &item } else { &["GET", "POST"] };
        for method in methods {
            for family in [TOTAL, COUNT] {
                let series = [("method", *method), ("route", route)];
                assert!(metrics.has(family, &series), "{family} {series:?}");
                assert_eq!(metrics.sum(family, &series), 0, "{family} {series:?}");
            }
        }
    }
    assert!(metrics.has(TOTAL, &[("method", "PATCH"), ("route", "/api/v2/users/{id}")]));
}

#[rstest]
#[tokio::test]
async fn requests_are_counted_by_pattern(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.post("/api/v1/users", &user("John", "john@example.com")).answer().await.expect(201);
    app.post("/api/v1/users", &user("John", "john@example.com")).answer().await.expect(409);
    for id in 1..=5 {
        app.get(&format!("/api/v2/users/{id}")).answer().await;
    }
    app.get("/nowhere/at/all").answer().await.expect(404);
    app.request(Method::from_bytes(b"BREW").unwrap(), "/api/v1/users").answer().await.expect(405);
    let metrics = app.metrics().await;
    for (method, route, status, times) in [
        ("POST", "/api/v1/users", "201", 1),
        ("POST", "/api/v1/users", "409", 1),
        ("GET", "/api/v2/users/{id}", "200", 1),
        ("GET", "/api/v2/users/{id}", "404", 4),
        ("GET", "unmatched", "404", 1),
    ] {
        for family in [TOTAL, COUNT] {
            assert_eq!(
                metrics.sum(family, &labels(method, route, status)),
                times,
                "{family} {method} {route} {status}"
            );
        }
    }
    assert_eq!(metrics.sum(TOTAL, &[("method", "other")]), 1);
    let buckets = [("method", "GET"), ("route", "/api/v2/users/{id}"), ("status", "404"), ("le", "+Inf")];
    assert_eq!(metrics.sum("http_request_duration_seconds_bucket", &buckets), 4);
}

/// A generator with a fixed seed, so that a failure can be reproduced.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn strange(number: usize) -> (String, String) {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1);
    let method = format!("M{:X}", random(&mut state));
    let bases = ["/", "/api/v1/", "/api/v2/users/", "/api/v2/users/1/", "/docs/", "/metrics/", "/health/"];
    let path = format!("{}{:x}?{:x}", bases[number % bases.len()], random(&mut state), random(&mut state));
    (if number.is_multiple_of(3) { "GET".to_owned() } else { method }, path)
}

#[tokio::test]
async fn a_stranger_adds_no_series() {
    let app = App::start(Db::Sqlite).await;
    let send = async |number: usize| {
        let (method, path) = strange(number);
        let strange = app.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
        strange.header(format!("x-strange-{number}"), path).answer().await.status
    };
    let before: BTreeSet<String> = app.metrics().await.series().map(str::to_owned).collect();
    at_once(200, send).await;
    let after = app.metrics().await;
    let known = |series: &&str| !series.contains("\"unmatched\"") && !series.contains("\"other\"");
    let added: Vec<&str> = after.series().filter(known).filter(|series| !before.contains(*series)).collect();
    // A scrape counts itself, and some strange ids were requested by GET; both are known routes.
    let strange: Vec<_> = added.iter().filter(|series| !is_known_route(series)).collect();
    assert!(strange.is_empty(), "{strange:?}");

    let bounded = after.series().count();
    for crowd in 1..=50 {
        at_once(200, async |number: usize| send(crowd * 200 + number).await).await;
    }
    assert_eq!(app.metrics().await.series().count(), bounded, "another 10,000 requests add no series");
}

fn is_known_route(series: &str) -> bool {
    series.contains("method=\"GET\"")
        && ["\"/metrics\"", "{id}\"", "\"/docs"].iter().any(|route| series.contains(route))
}

#[rstest]
#[tokio::test]
async fn only_three_labels_tell_requests_apart(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.get("/api/v2/users/1?x=secret").header("user-agent", "secret").answer().await;
    let answer = app.get("/metrics").answer().await;
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"), "{answer:?}");
    for line in answer.text.lines().filter(|line| line.starts_with(TOTAL)) {
        let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).expect("labels").0;
        let names: Vec<&str> = labels.split("\",").filter_map(|label| label.split('=').next()).collect();
        assert_eq!(names, ["method", "route", "status"], "{line}");
    }
    assert!(!answer.text.contains("secret"));
    for family in [TOTAL, "http_request_duration_seconds"] {
        assert!(answer.text.contains(&format!("# HELP {family} ")), "{family} has a help text");
        assert!(answer.text.contains(&format!("# TYPE {family} ")), "{family} has a type");
    }
}

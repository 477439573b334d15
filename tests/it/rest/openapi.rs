//! `/openapi.json` as a document: complete, and limited to the routes that exist.

use std::collections::BTreeSet;

use reqwest::Method;
use rstest::rstest;
use serde_json::Value;

use crate::support::{Answered, App, Db, Spec};

/// The document itself and the pages that show it.
fn is_documentation(path: &str) -> bool {
    path == "/openapi.json" || path.starts_with("/docs")
}

async fn spec(app: &App) -> Spec {
    Spec(app.get("/openapi.json").answer().await.body(200))
}

#[tokio::test]
async fn is_openapi_3_1_of_this_version() {
    let spec = spec(&App::start(Db::Sqlite).await).await;
    assert!(spec.0["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", spec.0["openapi"]);
    assert_eq!(spec.0["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(spec.0["info"]["title"].as_str().is_some_and(|title| !title.is_empty()));
}

fn follow_all(spec: &Spec, value: &Value) {
    spec.resolve(value);
    match value {
        Value::Object(members) => members.values().for_each(|member| follow_all(spec, member)),
        Value::Array(items) => items.iter().for_each(|item| follow_all(spec, item)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let spec = spec(&App::start(Db::Sqlite).await).await;
    follow_all(&spec, &spec.0);
}

#[tokio::test]
async fn every_operation_is_described() {
    let spec = spec(&App::start(Db::Sqlite).await).await;
    let mut names = BTreeSet::new();
    for operation in spec.operations() {
        let (at, name) = (format!("{} {}", operation.method, operation.path), operation.spec["operationId"].as_str());
        assert!(
            names.insert(name.unwrap_or_else(|| panic!("{at} has no operationId"))),
            "{at}: {name:?} is used twice"
        );
        let described = ["summary", "description"].iter().any(|member| operation.spec[*member].is_string());
        assert!(described, "{at} has no summary");
        for (status, response) in operation.spec["responses"].as_object().expect("responses") {
            let description = spec.resolve(response)["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{at} {status} has no description");
        }
    }
}

#[rstest]
#[case("GET", "/api/v1/users", "query", &["limit", "page"])]
#[case("GET", "/api/v2/users", "query", &["attributes", "email", "external_id", "fields", "include_total", "name_prefix", "order_by", "page_size", "page_token", "status"])]
#[case("GET", "/api/v1/users/{id}", "path", &["id"])]
#[case("PUT", "/api/v1/users/{id}", "path", &["id"])]
#[case("DELETE", "/api/v1/users/{id}", "path", &["id"])]
#[case("GET", "/api/v2/users/{id}", "path", &["id"])]
#[case("GET", "/api/v2/users", "header", &["At-Least-Position", "Cache-Control"])]
#[case("GET", "/api/v2/users/{id}", "header", &["At-Least-Position", "Cache-Control", "If-Match", "If-None-Match"])]
#[case("POST", "/api/v1/users", "header", &["Idempotency-Key"])]
#[case("PUT", "/api/v1/users/{id}", "header", &["Idempotency-Key"])]
#[case("DELETE", "/api/v1/users/{id}", "header", &["Idempotency-Key"])]
#[case("POST", "/api/v2/users", "header", &["Idempotency-Key"])]
#[case("PUT", "/api/v2/users/{id}", "header", &["Idempotency-Key", "If-Match", "If-None-Match"])]
#[case("PATCH", "/api/v2/users/{id}", "header", &["Idempotency-Key", "If-Match", "If-None-Match"])]
#[case("DELETE", "/api/v2/users/{id}", "header", &["Idempotency-Key", "If-Match", "If-None-Match"])]
#[case("GET", "/api/v2/users/{id}", "query", &["fields"])]
#[case("POST", "/api/v2/users:batchGet", "query", &["fields"])]
#[case("GET", "/api/v2/users:export", "query", &["attributes", "email", "external_id", "name_prefix", "status"])]
#[case("GET", "/api/v2/events", "query", &["type"])]
#[case("GET", "/api/v2/events", "header", &["Last-Event-ID"])]
#[tokio::test]
async fn every_parameter_is_documented(
    #[case] method: &str,
    #[case] path: &str,
    #[case] place: &str,
    #[case] names: &[&str],
) {
    let spec = spec(&App::start(Db::Sqlite).await).await;
    // Headers that every request may have.
    let shared = ["X-Request-Id", "traceparent"];
    let documented: Vec<&str> =
        spec.parameters(method, path, place).into_iter().filter(|name| !shared.contains(name)).collect();
    assert_eq!(documented, names, "{method} {path}");
}

/// The documented routes are those that the metrics name.
#[tokio::test]
async fn no_route_without_a_spec_and_no_spec_without_a_route() {
    let app = App::start(Db::Sqlite).await;
    let spec = spec(&app).await;
    let metrics = app.metrics().await;
    let bounds = |(method, route): &(String, String)| method != "other" && method != "HEAD" && route != "unmatched";
    let measured: BTreeSet<_> = metrics
        .pairs("http_requests_total", "method", "route")
        .into_iter()
        .filter(bounds)
        .filter(|(_, route)| !is_documentation(route))
        .collect();
    let documented: BTreeSet<_> = spec
        .operations()
        .into_iter()
        .filter(|operation| !is_documentation(operation.path))
        .map(|operation| (operation.method, operation.path.to_owned()))
        .collect();
    assert_eq!(documented, measured);
}

/// `Allow` names the documented methods of each path.
#[tokio::test]
async fn every_path_allows_what_is_documented() {
    let app = App::start(Db::Sqlite).await;
    let spec = spec(&app).await;
    let brew = Method::from_bytes(b"BREW").unwrap();
    for path in spec.0["paths"].as_object().expect("paths").keys() {
        let refused = app.request(brew.clone(), &path.replace("{id}", "1")).answer().await;
        refused.expect(405);
        let mut allowed: Vec<&str> = refused.header("allow").split(", ").filter(|method| *method != "HEAD").collect();
        let operations = spec.operations();
        let documented = operations.iter().filter(|operation| operation.path == path);
        let mut documented: Vec<&str> = documented.map(|operation| operation.method.as_str()).collect();
        allowed.sort_unstable();
        documented.sort_unstable();
        assert_eq!(allowed, documented, "{path}");
    }
}

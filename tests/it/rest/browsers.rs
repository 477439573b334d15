//! Headers for browsers: CORS, caching, and the content security policy.

use reqwest::Method;
use rstest::rstest;

use crate::support::{Answer, Answered, App, Db};

const SHOP: &str = "https://shop.example";

async fn from(app: &App, origin: &str) -> Answer {
    app.get("/api/v2/users").header("origin", origin).answer().await
}

async fn preflight(app: &App, origin: &str, method: &str) -> Answer {
    let request = app.anonymous(Method::OPTIONS, "/api/v2/users/1").header("origin", origin);
    let request = request.header("access-control-request-method", method);
    request
        .header("access-control-request-headers", "authorization,content-type,if-match,traceparent,tracestate,baggage")
        .answer()
        .await
}

#[rstest]
#[case("/api/v1/users", 200)]
#[case("/api/v2/users", 200)]
#[case("/api/v2/users/1", 404)]
#[case("/health", 200)]
#[case("/metrics", 200)]
#[case("/nowhere", 404)]
#[tokio::test]
async fn data_is_neither_kept_nor_run_nor_framed(#[case] path: &str, #[case] status: u16) {
    let app = App::start(Db::Sqlite).await;
    let answer = app.get(path).answer().await;
    answer.expect(status);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert!(!answer.headers.contains_key("strict-transport-security"), "HSTS without TLS: {answer:?}");
}

#[tokio::test]
async fn the_page_runs_its_own_scripts_only() {
    let app = App::start(Db::Sqlite).await;
    for path in ["/docs/", "/docs/swagger-ui-bundle.js"] {
        let answer = app.get(path).answer().await;
        let policy = answer.expect(200).header("content-security-policy");
        assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    let page = app.get("/docs/").answer().await.text;
    assert!(!page.contains("<script>") && !page.contains("onload="), "the policy forbids it: {page}");
}

#[tokio::test]
async fn other_origins_are_told_nothing_by_default() {
    let app = App::start(Db::Sqlite).await;
    let answer = from(&app, SHOP).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
    let answer = preflight(&app, SHOP, "PUT").await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
}

#[tokio::test]
async fn the_origins_that_are_named_may_call() {
    let app = App::start_with(Db::Sqlite, &[("CORS_ORIGINS", "https://shop.example, http://localhost:8080")]).await;
    for origin in [SHOP, "http://localhost:8080"] {
        let answer = from(&app, origin).await;
        assert_eq!(answer.expect(200).header("access-control-allow-origin"), origin);
        assert!(answer.header("access-control-expose-headers").contains("etag"), "{answer:?}");
        let answer = preflight(&app, origin, "PUT").await;
        assert_eq!(answer.expect(200).header("access-control-allow-origin"), origin);
        assert!(answer.header("access-control-allow-methods").contains("PUT"), "{answer:?}");
        assert!(answer.header("access-control-allow-headers").contains("authorization"), "{answer:?}");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{answer:?}");
    }
    for origin in ["https://other.example", "https://shop.example.evil.example", "http://shop.example", "null"] {
        let answer = from(&app, origin).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}: {answer:?}");
        preflight(&app, origin, "PUT").await.expect(400);
    }
    preflight(&app, SHOP, "TRACE").await.expect(400);
}

/// CORS replaces no token: the gate checks requests from every origin.
#[tokio::test]
async fn everybodys_scripts_may_call_if_that_is_said() {
    let app = App::start_with(Db::Sqlite, &[("CORS_ORIGINS", "*")]).await;
    assert_eq!(from(&app, SHOP).await.expect(200).header("access-control-allow-origin"), "*");
    let answer = app.anonymous(Method::GET, "/api/v2/users").header("origin", SHOP).answer().await;
    assert_eq!(answer.expect(401).header("access-control-allow-origin"), "*");
}

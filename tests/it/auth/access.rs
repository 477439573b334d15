//! Authorization: every route without a token, and with each scope.

use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::json;

use crate::support::{Answer, Answered, App, Db, claims, token, user};

/// The routes that need a scope, and the scope.
const ROUTES: [(&str, &str, &str); 25] = [
    ("GET", "/api/v1/users", "users:read"),
    ("HEAD", "/api/v1/users", "users:read"),
    ("POST", "/api/v1/users", "users:write"),
    ("GET", "/api/v1/users/1", "users:read"),
    ("HEAD", "/api/v1/users/1", "users:read"),
    ("PUT", "/api/v1/users/1", "users:write"),
    ("DELETE", "/api/v1/users/1", "users:write"),
    ("GET", "/api/v2/users", "users:read"),
    ("HEAD", "/api/v2/users", "users:read"),
    ("POST", "/api/v2/users", "users:write"),
    ("GET", "/api/v2/users/1", "users:read"),
    ("HEAD", "/api/v2/users/1", "users:read"),
    ("PUT", "/api/v2/users/1", "users:write"),
    ("PATCH", "/api/v2/users/1", "users:write"),
    ("DELETE", "/api/v2/users/1", "users:write"),
    ("POST", "/api/v2/users:batchGet", "users:read"),
    ("POST", "/api/v2/users:batchWrite", "users:write"),
    ("GET", "/api/v2/imports/1", "users:read"),
    ("HEAD", "/api/v2/imports/1", "users:read"),
    ("PUT", "/api/v2/imports/1", "users:write"),
    ("DELETE", "/api/v2/imports/1", "users:write"),
    ("GET", "/api/v2/users:export", "users:read"),
    ("HEAD", "/api/v2/users:export", "users:read"),
    ("GET", "/api/v2/events", "users:read"),
    ("HEAD", "/api/v2/events", "users:read"),
];

const OPEN: [&str; 9] =
    ["/", "/live/live.js", "/health", "/livez", "/ready", "/readyz", "/metrics", "/openapi.json", "/docs/"];

fn request(app: &App, method: &str, path: &str) -> RequestBuilder {
    let request = app.anonymous(Method::from_bytes(method.as_bytes()).unwrap(), path);
    match method {
        "POST" | "PUT" => request.json(&user("John", "john@example.com")),
        "PATCH" => request.header("content-type", "application/merge-patch+json").json(&json!({ "name": "John" })),
        _ => request,
    }
}

/// Checks the error in the format of its version. An answer to HEAD has no body.
fn assert_refused(answer: &Answer, method: &str, path: &str, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    if method != "HEAD" && path.starts_with("/api/v2/") {
        answer.problem(status, code);
    } else if method != "HEAD" {
        assert!(answer.json()["error"].is_string(), "{answer:?}");
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_token() {
    let app = App::start(Db::Sqlite).await;
    app.create("Jane", "jane@example.com").await;
    for (method, path, _) in ROUTES {
        let answer = request(&app, method, path).answer().await;
        assert_refused(&answer, method, path, 401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="user-service""#);
    }
    let everyone = app.everyone().await;
    assert_eq!(everyone.len(), 1);
    assert_eq!(everyone[0]["version"], 1);
}

#[rstest]
#[tokio::test]
async fn a_token_opens_what_its_scope_names(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let scopes = ["", "users:read", "users:write", "users:read users:write", "openid users:readwrite", "users"];
    for scope in scopes {
        let token = token(&claims(scope));
        for (method, path, needed) in ROUTES {
            let answer = request(&app, method, path).bearer_auth(&token).answer().await;
            if scope.split(' ').any(|name| name == needed) {
                assert!(!matches!(answer.status, 401 | 403), "{method} {path} with {scope:?}: {answer:?}");
                continue;
            }
            assert_refused(&answer, method, path, 403, "insufficient_scope");
            let challenge = answer.header("www-authenticate");
            assert!(challenge.starts_with("Bearer ") && challenge.contains(r#"error="insufficient_scope""#));
            assert!(challenge.contains(&format!(r#"scope="{needed}""#)), "{challenge}");
        }
    }
}

#[tokio::test]
async fn what_operators_ask_is_open() {
    let app = App::start(Db::Sqlite).await;
    for path in OPEN {
        request(&app, "GET", path).answer().await.expect(200);
        // An invalid token does no harm on an open route.
        request(&app, "GET", path).bearer_auth("nonsense").answer().await.expect(200);
    }
}

/// A client without a token learns nothing about methods or paths.
#[tokio::test]
async fn the_gate_comes_before_everything_else() {
    let app = App::start(Db::Sqlite).await;
    for (method, path) in [("TRACE", "/api/v2/users"), ("DELETE", "/api/v1/users"), ("GET", "/api/v2/users/nonsense")] {
        request(&app, method, path).answer().await.expect(401);
    }
    let malformed = app.anonymous(Method::POST, "/api/v2/users").body("{").answer().await;
    malformed.expect(401);
}

/// `ROUTES` and `OPEN` list every documented route, so a new route must be added there.
#[tokio::test]
async fn every_described_route_is_tested() {
    let app = App::start(Db::Sqlite).await;
    let spec = app.get("/openapi.json").answer().await.body(200);
    for (path, item) in spec["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let (method, path) = (method.to_uppercase(), path.replace("{id}", "1"));
            let guarded = ROUTES.iter().any(|route| (route.0, route.1) == (&*method, &*path));
            let open = ["/docs", "/docs/{file}", "/live/{file}"].contains(&&*path) || OPEN.contains(&&*path);
            assert!(guarded != open, "{method} {path}");
            assert_eq!(operation["security"].is_array(), guarded, "{method} {path}");
        }
    }
}

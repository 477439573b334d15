//! Canaries: no secret and no personal data appears in a log, a metric or an error.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answered, App, Db, Postgres, Program, Server, claims, signed, until, user};

const SECRET: &str = "canary-secret-0123456789abcdef0123456789";
const EMAIL: &str = "canary-email@example.com";
const NAME: &str = "Canary Name";
const EXTERNAL_ID: &str = "canary-external-id";
const ATTRIBUTE: &str = "canary-attribute";

#[rstest]
#[tokio::test]
async fn nothing_gives_a_secret_or_a_person_away(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("JWT_SECRET", SECRET), ("LOG_LEVEL", "trace"), ("ACCESS_LOG", "all")]).await;
    let header = Header::new(Algorithm::HS256);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let good = signed(&header, &claims("users:read users:write"), &key);
    let weak = signed(&header, &claims(""), &key);
    let forged = signed(&header, &claims("users:read"), &EncodingKey::from_secret(EMAIL.as_bytes()));
    let mut errors = Vec::new();
    for token in [&good, &good, &weak, &forged] {
        let send = |method, path: &str| app.anonymous(method, path).bearer_auth(token);
        let requests = [
            send(Method::POST, "/api/v2/users").json(&user(NAME, EMAIL)),
            send(Method::POST, "/api/v1/users").json(&user(NAME, "canary-email@")),
            send(Method::PATCH, "/api/v2/users/1").json(&json!({ "email": EMAIL })),
            patch(
                send(Method::PATCH, "/api/v2/users/1"),
                &json!({ "external_id": EXTERNAL_ID, "attributes": { "a": ATTRIBUTE } }),
            ),
            patch(send(Method::PATCH, "/api/v2/users/1"), &json!({ "attributes": { "a": [ATTRIBUTE, "\0"] } })),
            send(Method::POST, "/api/v2/users")
                .json(&json!({ "name": NAME, "email": EMAIL, "external_id": EXTERNAL_ID })),
            send(Method::GET, "/api/v2/users/999"),
        ];
        for request in requests {
            let answer = request.answer().await;
            if answer.status >= 400 {
                errors.push(answer.text);
            }
        }
    }
    let metrics = app.get("/metrics").answer().await.text;
    let (errors, log) = (errors.join("\n"), app.log());
    assert!(!errors.is_empty() && log.contains("listening") && metrics.contains("http_requests_total"));
    for secret in [SECRET, &good, &weak, &forged, EMAIL, NAME, EXTERNAL_ID, ATTRIBUTE] {
        for (place, text) in [("an error", &errors), ("the log", &log), ("the metrics", &metrics)] {
            assert!(!text.contains(secret), "{secret} in {place}: {text}");
        }
    }
}

fn patch(request: RequestBuilder, patch: &Value) -> RequestBuilder {
    request.header("content-type", "application/merge-patch+json").body(patch.to_string())
}

/// Neither while the service works nor when the database fails.
#[tokio::test]
async fn nothing_gives_the_databases_password_away() {
    const PASSWORD: &str = "canary-password";
    let mut postgres = Postgres::started().await;
    let dir = TempDir::new().unwrap();
    let url = postgres.url().replace("postgres@", &format!("postgres:{PASSWORD}@"));
    let server = Server::listening(Program::new(dir.path()).env("DATABASE_URL", url).env("LOG_LEVEL", "trace"));
    server.ready().await;
    server.create("John", "john@example.com").await;
    postgres.crash();
    let error = server.get("/api/v2/users/1").answer().await;
    error.expect(503);
    until("the failure is logged", Duration::from_secs(10), async || server.log().contains("not ready")).await;
    let metrics = server.get("/metrics").answer().await.text;
    for text in [&error.text, &server.log(), &metrics] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[tokio::test]
async fn the_users_are_for_their_owner_only() {
    let app = App::start(Db::Sqlite).await;
    app.create(NAME, EMAIL).await;
    let files = fs::read_dir(app.database.dir()).unwrap().map(|file| file.unwrap());
    let files = Vec::from_iter(files.filter(|file| file.file_name().to_string_lossy().starts_with("users.db")));
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

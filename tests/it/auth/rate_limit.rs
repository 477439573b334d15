//! The rate limit of each client.

use std::time::Duration;

use reqwest::Method;

use crate::support::{Answer, Answered, App, Db, claims, token, until};

async fn get(app: &App, token: &str) -> Answer {
    app.anonymous(Method::GET, "/api/v2/users").bearer_auth(token).answer().await
}

fn token_of(subject: &str) -> String {
    let mut claims = claims("users:read");
    claims["sub"] = subject.into();
    token(&claims)
}

#[tokio::test]
async fn without_a_setting_nobody_is_limited() {
    let app = App::start(Db::Sqlite).await;
    for _ in 0..200 {
        app.get("/api/v2/users").answer().await.expect(200);
    }
}

#[tokio::test]
async fn each_caller_has_a_rate_of_its_own() {
    let app = App::start_with(Db::Sqlite, &[("RATE_LIMIT", "1"), ("RATE_BURST", "3")]).await;
    let (ann, bob) = (token_of("ann"), token_of("bob"));
    for _ in 0..3 {
        get(&app, &ann).await.expect(200);
    }
    let refused = get(&app, &ann).await;
    refused.problem(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), "1");
    app.anonymous(Method::GET, "/api/v1/users").bearer_auth(&ann).answer().await.error(429);
    get(&app, &bob).await.expect(200);
    // Another token of the same subject is the same caller.
    let mut other = claims("users:read users:write");
    other["sub"] = "ann".into();
    get(&app, &token(&other)).await.expect(429);
    until("there is room again", Duration::from_secs(5), async || get(&app, &ann).await.status == 200).await;
}

/// Clients without a valid token are limited by address.
#[tokio::test]
async fn strangers_are_counted_by_address() {
    let app = App::start_with(Db::Sqlite, &[("RATE_LIMIT", "1"), ("RATE_BURST", "5")]).await;
    let guess = async |number: usize| get(&app, &format!("guess{number}")).await;
    for number in 0..5 {
        guess(number).await.expect(401);
    }
    guess(6).await.problem(429, "too_many_requests");
    app.anonymous(Method::GET, "/api/v2/users").answer().await.expect(429);
    get(&app, &token_of("ann")).await.expect(200);
}

/// A valid token that lacks a scope still identifies its subject.
#[tokio::test]
async fn whoever_lacks_a_scope_is_no_stranger() {
    let app = App::start_with(Db::Sqlite, &[("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    let weak = token(&claims(""));
    get(&app, &weak).await.expect(403);
    get(&app, &weak).await.expect(429);
    app.anonymous(Method::GET, "/api/v2/users").answer().await.expect(401);
}

#[tokio::test]
async fn what_is_open_is_not_limited() {
    let app = App::start_with(Db::Sqlite, &[("RATE_LIMIT", "1")]).await;
    for path in ["/health", "/ready", "/metrics"] {
        for _ in 0..20 {
            app.anonymous(Method::GET, path).answer().await.expect(200);
        }
    }
}

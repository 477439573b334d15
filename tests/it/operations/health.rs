//! `/health`, `/ready` and their aliases.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::support::{Answered, App, Db};

#[tokio::test]
async fn health_tells_the_time() {
    let app = App::start(Db::Sqlite).await;
    for path in ["/health", "/livez"] {
        let healthy = app.get(path).answer().await.body(200);
        assert_eq!((healthy.as_object().unwrap().len(), &healthy["status"]), (2, &json!("healthy")), "{healthy}");
        let time: DateTime<Utc> = healthy["timestamp"].as_str().expect("a time").parse().expect("RFC 3339");
        assert!((Utc::now() - time).abs() < TimeDelta::minutes(1), "{healthy}");
        app.head(path).answer().await.empty(200);
    }
}

#[rstest]
#[tokio::test]
async fn ready_is_true_and_nothing_else(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for path in ["/ready", "/readyz"] {
        assert_eq!(app.get(path).answer().await.body(200), json!({ "ready": true }));
        app.head(path).answer().await.empty(200);
    }
}

#[tokio::test]
async fn both_are_for_reading() {
    let app = App::start(Db::Sqlite).await;
    for path in ["/health", "/livez", "/ready", "/readyz"] {
        let refused = app.request(Method::POST, path).answer().await;
        refused.problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), "GET, HEAD");
    }
}

/// Liveness does not depend on the database, because a restart would not bring it back.
#[tokio::test]
async fn health_does_not_wait_for_a_locked_database() {
    let app = App::start(Db::Postgres).await;
    let mut lock = app.database.connect();
    lock.run("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE");
    let waiting = app.get("/api/v2/users/1").answer();
    let healthy = async {
        for _ in 0..20 {
            app.get("/health").answer().await.body(200);
        }
    };
    let (_, ()) = futures::join!(waiting, healthy);
}

//! `Server-Timing`: where the time of a request went, if it asks.

use std::collections::BTreeMap;

use rstest::rstest;

use crate::support::{Answer, Answered, App, Db, user};

/// The metrics of the header by their names, each with what it says.
fn timing(answer: &Answer) -> BTreeMap<&str, &str> {
    answer.header("server-timing").split(", ").map(|metric| metric.split_once(';').expect("a value")).collect()
}

fn millis(text: &str) -> f64 {
    text.strip_prefix("dur=").and_then(|millis| millis.parse().ok()).unwrap_or_else(|| panic!("{text} is no duration"))
}

#[rstest]
#[tokio::test]
async fn a_request_that_asks_is_shown_its_steps(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let asking = |request: reqwest::RequestBuilder| request.header("server-timing", "request");
    let created = asking(app.post("/api/v2/users", &user("John", "john@example.com"))).answer().await;
    created.body(201);
    let steps = timing(&created);
    assert_eq!(steps.keys().copied().collect::<Vec<_>>(), ["batch", "db", "queue", "total"]);
    assert_eq!(steps["batch"], "desc=\"1\"");
    let [database, queue, total] = ["db", "queue", "total"].map(|step| millis(steps[step]));
    assert!(database > 0.0 && queue >= 0.0 && database + queue <= total, "{steps:?}");
    let mut seen = Vec::new();
    for _ in 0..20 {
        let read = asking(app.get("/api/v2/users/1")).answer().await;
        seen.push(timing(read.expect(200))["cache"].to_owned());
    }
    assert_eq!(seen.last().map(String::as_str), Some("desc=hit"), "{seen:?}");
    assert!(seen.contains(&"desc=miss".to_owned()), "{seen:?}");
    // Failures too, and what needs no database.
    let missing = asking(app.get("/api/v1/users/7")).answer().await;
    assert!(timing(missing.expect(404)).contains_key("db"));
    let nowhere = asking(app.get("/nowhere")).answer().await;
    assert_eq!(timing(nowhere.expect(404)).keys().copied().collect::<Vec<_>>(), ["total"]);
}

#[rstest]
#[case("yes")]
#[case("")]
#[case("request, request")]
#[tokio::test]
async fn one_that_does_not_ask_is_not(#[case] value: &str) {
    let app = App::start(Db::Sqlite).await;
    let answer = app.get("/api/v2/users").header("server-timing", value).answer().await;
    assert!(!answer.expect(200).headers.contains_key("server-timing"));
}

#[tokio::test]
async fn without_a_cache_there_is_no_hit_and_no_miss() {
    let app = App::start_with(Db::Sqlite, &[("USER_CACHE_BYTES", "0"), ("SERVER_TIMING", "on")]).await;
    app.create("John", "john@example.com").await;
    let answer = app.get("/api/v2/users/1").answer().await;
    assert_eq!(timing(answer.expect(200)).keys().copied().collect::<Vec<_>>(), ["batch", "db", "queue", "total"]);
}

//! The live stream: which events it delivers, and with what content.

use std::time::Duration;

use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Connection, Db, LiveStream, Told, user};

/// Longer than the delivery of a change takes.
const A_WHILE: Duration = Duration::from_millis(700);

/// Checks the attributes that every event has.
fn assert_cloud_event(told: &Told, user_id: i64, version: i64) {
    let Told { name, data, .. } = told;
    assert_eq!(data["specversion"], "1.0", "{data}");
    assert_eq!(data["source"], "/user-service", "{data}");
    assert_eq!(data["type"], json!(name), "{data}");
    assert_eq!(data["subject"], user_id.to_string(), "{data}");
    assert_eq!(data["datacontenttype"], "application/json", "{data}");
    assert_eq!(data["sequence"], format!("{version:019}"), "{data}");
    assert_eq!((told.user_id(), told.version()), (user_id, version), "{data}");
    let (id, time) = (data["id"].as_str().unwrap(), data["time"].as_str().unwrap());
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7, "{data}");
    assert!(time.ends_with('Z') && time.len() == "2026-01-31T12:00:00.000001Z".len(), "{data}");
}

#[rstest]
#[tokio::test]
async fn every_change_is_told(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut stream = LiveStream::open(&app).await;
    let created = app.create("John", "john@example.com").await;
    let put = app.put("/api/v2/users/1", &user("Johnny", "johnny@example.com")).answer().await.body(200);
    let patched = app.patch("/api/v2/users/1", &json!({ "name": "Jim" })).answer().await.body(200);
    app.put("/api/v1/users/1", &user("James", "james@example.com")).answer().await.expect(200);
    app.delete("/api/v2/users/1").answer().await.expect(204);
    let events = stream.take(5).await;
    let names = Vec::from_iter(events.iter().map(|told| told.name.as_str()));
    assert_eq!(names, ["user.created", "user.updated", "user.updated", "user.updated", "user.deleted"]);
    for (told, version) in events.iter().zip(1..) {
        assert_cloud_event(told, 1, version);
        assert_eq!(told.data.get("traceparent"), None, "no request had a trace");
    }
    let users = Vec::from_iter(events.iter().map(|told| &told.data["data"]));
    assert_eq!(users[..3], [&created, &put, &patched]);
    assert_eq!((&users[3]["name"], &users[3]["email"]), (&json!("James"), &json!("james@example.com")));
    assert_eq!(users[4], &json!({ "id": 1, "version": 5 }), "a deletion holds no personal data");
    assert_eq!(events[1].data["time"], put["updated_at"]);
}

#[rstest]
#[tokio::test]
async fn it_tells_the_trace_that_the_change_was_made_in(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let app = App::start(db).await;
    let mut stream = LiveStream::open(&app).await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let create = app.post("/api/v2/users", &user("John", "john@example.com"));
    create.header("traceparent", &parent).answer().await.expect(201);
    app.delete("/api/v2/users/1").header("traceparent", &parent).answer().await.expect(204);
    for told in stream.take(2).await {
        let carried = told.data["traceparent"].as_str().unwrap_or_default();
        assert!(carried.starts_with(&format!("00-{TRACE}-")), "{}", told.data);
    }
}

#[rstest]
#[tokio::test]
async fn what_fails_is_no_change(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app.create("Jane", "jane@example.com").await;
    let mut stream = LiveStream::open(&app).await;
    app.post("/api/v2/users", &user("Joe", "JOHN@example.com")).answer().await.expect(409);
    app.put("/api/v2/users/1", &user("Joe", "jane@example.com")).answer().await.expect(409);
    app.put("/api/v2/users/9", &user("Joe", "joe@example.com")).answer().await.expect(404);
    app.patch("/api/v2/users/1", &json!({ "name": "Joe" })).header(IF_MATCH, r#""7""#).answer().await.expect(412);
    app.delete("/api/v2/users/1").header(IF_MATCH, r#""7""#).answer().await.expect(412);
    app.delete("/api/v2/users/9").answer().await.expect(404);
    app.post("/api/v2/users", &user("", "joe@example.com")).answer().await.expect(422);
    assert!(stream.is_silent_for(A_WHILE).await);
    app.create("Joe", "joe@example.com").await;
    assert_eq!(stream.next().await.unwrap().data["data"]["email"], "joe@example.com");
}

#[rstest]
#[tokio::test]
async fn from_now_on_means_nothing_older(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for number in 0..20 {
        app.create("John", &format!("john{number}@example.com")).await;
        // A reader makes the service poll. The next stream must not get what the last one waited for.
        let mut stream = LiveStream::open(&app).await;
        let late = app.create("Late", &format!("late{number}@example.com")).await;
        assert_eq!(stream.next().await.unwrap().data["data"], late);
    }
}

/// A transaction that is rolled back leaves a gap in the log.
#[tokio::test]
async fn from_now_on_means_nothing_behind_a_gap() {
    let app = App::start(Db::Postgres).await;
    let mut connection = app.database.connect();
    for round in 0..3 {
        connection.run("SELECT nextval(pg_get_serial_sequence('events', 'id'))");
        app.create("John", &format!("john{round}@example.com")).await;
        let mut stream = LiveStream::open(&app).await;
        assert!(stream.is_silent_for(A_WHILE).await, "round {round}");
        let late = app.create("Late", &format!("late{round}@example.com")).await;
        assert_eq!(stream.next().await.unwrap().data["data"], late);
    }
}

#[rstest]
#[tokio::test]
async fn only_the_wanted_types(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut deleted = LiveStream::of_types(&app, "user.deleted").await;
    let mut others = LiveStream::of_types(&app, "user.updated,user.created").await;
    for id in 1..=100 {
        app.create("John", &format!("john{id}@example.com")).await;
        if id % 50 == 0 {
            app.delete(&format!("/api/v2/users/{id}")).answer().await.expect(204);
        }
    }
    app.patch("/api/v2/users/1", &json!({ "name": "Jim" })).answer().await.expect(200);
    assert_eq!(Vec::from_iter(deleted.take(2).await.iter().map(Told::user_id)), [50, 100]);
    let others = others.take(101).await;
    assert!(others.iter().all(|told| told.name != "user.deleted"));
    assert_eq!(others.last().unwrap().name, "user.updated");
}

#[rstest]
#[case("unknown=1")]
#[case("type=")]
#[case("type=user")]
#[case("type=user.created,")]
#[case("type=user.created&type=user.deleted")]
#[tokio::test]
async fn a_query_that_makes_no_sense_is_400(#[case] query: &str) {
    let app = App::start(Db::Sqlite).await;
    app.get(&format!("/api/v2/events?{query}")).answer().await.problem(400, "invalid_query");
}

#[rstest]
#[case("")]
#[case("x")]
#[case("-1")]
#[case("1.5")]
#[case("99999999999999999999")]
#[tokio::test]
async fn an_id_that_is_none_is_400(#[case] id: &str) {
    let app = App::start(Db::Sqlite).await;
    app.get("/api/v2/events").header("last-event-id", id).answer().await.problem(400, "invalid_header");
}

#[rstest]
#[tokio::test]
async fn its_head_is_for_streams(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let answer = app.get("/api/v2/events").answer().await;
    answer.expect(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    assert!(answer.text.starts_with("retry: ") && answer.text.ends_with("\nid: 0\n\n"), "{answer:?}");
    let head = app.head("/api/v2/events").answer().await;
    head.empty(200);
    assert_eq!(head.header("content-type"), "text/event-stream");
    app.post("/api/v2/events", &Value::Null).answer().await.problem(405, "method_not_allowed");
}

/// A stream's request is counted when the stream begins, so it is not in flight.
#[rstest]
#[tokio::test]
async fn it_is_measured(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut streams = [LiveStream::open(&app).await, LiveStream::of_types(&app, "user.created").await];
    app.create("John", "john@example.com").await;
    app.delete("/api/v2/users/1").answer().await.expect(204);
    streams[0].take(2).await;
    streams[1].take(1).await;
    let metrics = app.metrics().await;
    assert_eq!(metrics.value("event_stream_readers"), 2.0);
    assert_eq!(metrics.value("event_stream_events_total"), 3.0);
    assert_eq!(metrics.value("http_requests_in_flight"), 1.0, "the scrape itself");
    let series = [("method", "GET"), ("route", "/api/v2/events"), ("status", "200")];
    assert_eq!(metrics.sum("http_requests_total", &series), 2);
}

/// The events of a batch have different ids, and all streams deliver them alike.
#[rstest]
#[tokio::test]
async fn all_are_told_the_same(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut first = LiveStream::open(&app).await;
    let begin = first.last_id;
    crate::support::at_once(64, async |number: usize| app.create("John", &format!("j{number}@example.com")).await)
        .await;
    let live = first.take(64).await;
    let mut connection = app.database.connect();
    assert_eq!(live, LiveStream::resume(&app, begin).await.take(64).await);
    // More events than memory holds.
    crate::support::insert_events(&mut connection, 5000);
    assert_eq!(live, LiveStream::resume(&app, begin).await.take(64).await);
    let ids = std::collections::BTreeSet::from_iter(live.iter().map(|told| told.data["id"].to_string()));
    assert_eq!(ids.len(), 64);
    drop::<Connection>(connection);
}

/// A statement that records no events leaves a mark in the log, for the users in memory. It is no event.
#[tokio::test]
async fn a_mark_is_passed_over() {
    let app = App::start(Db::Postgres).await;
    let mut stream = LiveStream::open(&app).await;
    app.create("John", "john@example.com").await;
    app.database.connect().run("UPDATE users SET name = 'Jack'; UPDATE users SET name = 'Joe'");
    app.delete("/api/v2/users/1").answer().await.expect(204);
    let names = Vec::from_iter(stream.take(2).await.into_iter().map(|told| told.name));
    assert_eq!(names, ["user.created", "user.deleted"]);
    // The last thing in the log, and before it nothing that was sent.
    app.database.connect().run("UPDATE users SET id = id");
    assert!(stream.is_silent_for(A_WHILE).await);
    let again = LiveStream::resume(&app, 0).await.take(2).await;
    assert_eq!(Vec::from_iter(again.iter().map(|told| told.name.as_str())), ["user.created", "user.deleted"]);
}

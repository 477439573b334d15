//! The schemas in `docs/events/`, the examples in `docs/events.md`, and the events of the service agree.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use user_service::events::{EventType, to_json};
use user_service::storage::Follower;

use crate::support::{Answered, App, Db, EventSchemas, Otlp, library, until, user};

const DOCUMENT: &str = include_str!("../../../docs/events.md");
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The examples of the document, with the type in the fence of each.
fn examples() -> Vec<(String, Value)> {
    let blocks = DOCUMENT.split("```json ").skip(1);
    let example = |block: &str| {
        let (kind, rest) = block.split_once('\n').expect("a type");
        let text = rest.split("```").next().unwrap_or_default();
        (kind.to_owned(), serde_json::from_str(text).unwrap_or_else(|error| panic!("{kind}: {error}")))
    };
    blocks.map(example).collect()
}

#[test]
fn there_is_a_right_example_of_each_type() {
    let (schemas, examples) = (EventSchemas::read(), examples());
    assert_eq!(Vec::from_iter(examples.iter().map(|(kind, _)| kind.as_str())), EventType::ALL.map(EventType::as_str));
    for (kind, example) in &examples {
        assert_eq!((example["type"].as_str(), schemas.fault(example)), (Some(kind.as_str()), None));
    }
}

#[test]
fn an_extension_that_comes_later_is_no_fault() {
    let schemas = EventSchemas::read();
    for (_, mut example) in examples() {
        example["partitionkey"] = json!("7");
        assert_eq!(schemas.fault(&example), None);
    }
}

/// What a change by a release without profiles says, and one by this release.
#[rstest]
#[tokio::test]
async fn profiles_are_known_or_not(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let attributes = json!({ "team": "7", "n": 1.5 });
    let body =
        json!({ "name": "A", "email": "a@b.co", "external_id": "x", "status": "disabled", "attributes": attributes });
    app.post("/api/v2/users", &body).answer().await.body(201);
    app.patch("/api/v2/users/1", &json!({ "attributes": null, "external_id": null, "status": "active" }))
        .answer()
        .await
        .body(200);
    app.patch("/api/v2/users/1", &body).answer().await.body(200);
    let earlier =
        "UPDATE events SET external_id = NULL, status = NULL, attributes = NULL, known_columns = 1 WHERE version = 3";
    app.database.connect().run(earlier);
    app.delete("/api/v2/users/1").answer().await.expect(204);

    let (storage, _running) = library(&app.database);
    let log = storage.events();
    until("the log can be read", Duration::from_secs(20), async || log.heartbeat().await.is_ok()).await;
    let (_, events) = log.follow(Follower::default(), 100).await.unwrap();
    let schemas = EventSchemas::read();
    let events = Vec::from_iter(events.iter().map(|event| {
        let json: Value = serde_json::from_str(&to_json(event, "/users")).unwrap();
        assert_eq!(schemas.fault(&json), None);
        json
    }));
    let profiles = events.iter().map(|event| {
        let data = &event["data"];
        (event["dataschema"].is_string(), [&data["external_id"], &data["status"], &data["attributes"]])
    });
    let (null, x, disabled) = (Value::Null, json!("x"), json!("disabled"));
    let nothing = [&null, &null, &null];
    let expected = [(true, [&x, &disabled, &attributes]), (true, nothing), (false, nothing), (false, nothing)];
    assert_eq!(Vec::from_iter(profiles), expected);
    let columns = "SELECT concat_ws('', external_id, status, attributes) AS fact FROM events ORDER BY id DESC LIMIT 1";
    assert_eq!(app.database.connect().facts(columns), [""], "a deletion keeps nothing");
}

/// Invalid events: each has one fault.
#[rstest]
#[case::without_an_id("/id", Value::Null)]
#[case::an_id_that_is_none("/id", json!("7"))]
#[case::an_id_of_another_version("/id", json!("018bcfe5-6800-4a3c-9d21-4f0c2b6e8a17"))]
#[case::another_version_of_cloud_events("/specversion", json!("0.3"))]
#[case::a_source_that_is_none("/source", json!("no reference"))]
#[case::no_source("/source", json!(""))]
#[case::another_type("/type", json!("user.renamed"))]
#[case::a_subject_that_is_a_number("/subject", json!(7))]
#[case::a_time_without_a_zone("/time", json!("2023-11-14T22:13:20.000001"))]
#[case::a_day_that_is_none("/time", json!("2023-02-30T22:13:20.000001Z"))]
#[case::a_short_sequence("/sequence", json!("2"))]
#[case::a_span_that_is_none("/traceparent", json!("00-0-0-01"))]
#[case::an_extension_that_is_an_object("/partitionkey", json!({}))]
#[case::a_name_that_is_none("/partitionKey", json!("7"))]
#[case::no_data("/data", Value::Null)]
#[case::data_of_another_kind("/data", json!([]))]
#[case::data_that_is_not_known("/data/password", json!("canary"))]
#[case::a_text_as_data_id("/data/id", json!("7"))]
#[case::version_zero("/data/version", json!(0))]
fn whatever_is_wrong_is_found(#[case] pointer: &str, #[case] value: Value) {
    let schemas = EventSchemas::read();
    for (_, mut example) in examples() {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let members = example.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
        // Null stands for a missing member.
        if value.is_null() {
            members.remove(name)
        } else {
            members.insert(name.to_owned(), value.clone())
        };
        assert!(schemas.fault(&example).is_some(), "{example}");
    }
}

#[test]
fn a_deletion_that_tells_of_the_person_is_wrong() {
    let (schemas, examples) = (EventSchemas::read(), examples());
    let (_, mut deleted) = examples.into_iter().find(|(kind, _)| kind == "user.deleted").unwrap();
    deleted["data"]["email"] = json!("john@example.com");
    assert!(schemas.fault(&deleted).is_some());
}

#[rstest]
#[tokio::test]
async fn what_the_service_writes_is_what_the_schemas_say(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let otlp = Otlp::start();
    let vars =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.endpoint.as_str()), ("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let app = App::start_with(db, &vars).await;
    for (name, trace) in [("J".to_owned(), None), ("Ж".repeat(100), Some(TRACE))] {
        let traced = |request: reqwest::RequestBuilder| match trace {
            Some(trace) => request.header("traceparent", trace),
            None => request,
        };
        let john = traced(app.post("/api/v2/users", &user(&name, "j.o'h+n@example.com"))).answer().await.body(201);
        let path = format!("/api/v2/users/{}", john["id"]);
        traced(app.patch(&path, &json!({ "name": "Jane" }))).answer().await.expect(200);
        traced(app.delete(&path)).answer().await.expect(204);
    }
    let (storage, _running) = library(&app.database);
    let log = storage.events();
    until("the log can be read", Duration::from_secs(20), async || log.heartbeat().await.is_ok()).await;
    let (_, events) = log.follow(Follower::default(), 100).await.unwrap();
    // Who checks events against the schemas of an earlier release goes on, until a user gets a profile.
    let earlier = EventSchemas::earlier();
    let (schemas, mut seen) = (EventSchemas::read(), Vec::new());
    for event in &events {
        let json: Value = serde_json::from_str(&to_json(event, "https://users.example.com")).unwrap();
        assert_eq!((schemas.fault(&json), earlier.fault(&json)), (None, None));
        seen.push((EventType::of(event), json.get("traceparent").is_some()));
    }
    let each = |traced| EventType::ALL.map(|kind| (kind, traced));
    assert_eq!(seen, [each(false), each(true)].concat());
}

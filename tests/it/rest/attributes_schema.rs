//! The schema that attributes are held to.

use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::import::{NDJSON, counts, put};
use crate::support::{Answer, Answered, App, Db, details, proto::CreateUserRequest};

const USERS: &str = "/api/v2/users";
const JOHN: &str = "/api/v2/users/1";

fn schema(folder: &TempDir, schema: &Value) -> PathBuf {
    let path = folder.path().join("schema.json");
    fs::write(&path, schema.to_string()).unwrap();
    path
}

/// A department is required, and one of two.
fn departments() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "required": ["department"],
        "properties": {
            "department": { "enum": ["Sales", "HR"] },
            "address": { "properties": { "zip": { "pattern": "^[0-9]{5}$" } } },
        },
    })
}

async fn with_schema(db: Db, path: &Path) -> App {
    App::start_with(db, &[("ATTRIBUTES_SCHEMA", path.to_str().unwrap())]).await
}

fn john(attributes: &Value) -> Value {
    json!({ "name": "John", "email": "john@example.com", "attributes": attributes })
}

#[track_caller]
fn pointers(answer: &Answer) -> Vec<String> {
    let problem = answer.problem(422, "invalid_attributes");
    let errors = problem["errors"].as_array().unwrap().iter();
    let mut pointers = Vec::from_iter(errors.map(|error| error["pointer"].as_str().unwrap().to_owned()));
    pointers.sort();
    pointers
}

#[rstest]
#[tokio::test]
async fn writes_are_held_to_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let folder = TempDir::new().unwrap();
    let app = with_schema(db, &schema(&folder, &departments())).await;
    let wrong = john(&json!({ "department": "IT", "address": { "zip": "1" } }));
    let both = ["/attributes/address/zip", "/attributes/department"];
    assert_eq!(pointers(&app.post(USERS, &wrong).answer().await), both);
    for nothing in [john(&json!({})), john(&Value::Null), json!({ "name": "John", "email": "john@example.com" })] {
        assert_eq!(pointers(&app.post(USERS, &nothing).answer().await), ["/attributes"]);
    }
    // What is wrong anyway comes first.
    app.post(USERS, &json!({ "name": "", "email": "john@example.com" })).answer().await.problem(422, "invalid_user");
    app.post(USERS, &john(&json!({ "department": "HR", "more": 1 }))).answer().await.body(201);

    let before = app.everyone().await;
    assert_eq!(pointers(&app.put(JOHN, &wrong).answer().await), both);
    // Only the merge shows it.
    for (patch, pointer) in [
        (json!({ "attributes": { "department": null } }), "/attributes"),
        (json!({ "attributes": { "address": { "zip": "x" } } }), "/attributes/address/zip"),
        (json!({ "attributes": null }), "/attributes"),
    ] {
        assert_eq!(pointers(&app.patch(JOHN, &patch).answer().await), [pointer], "{patch}");
    }
    let operations =
        json!([{ "update": { "id": 1, "patch": { "attributes": { "department": 7 } } } }, { "create": wrong }]);
    let batch = |atomic| app.post("/api/v2/users:batchWrite", &json!({ "operations": operations, "atomic": atomic }));
    let results = batch(false).answer().await.body(200)["results"].clone();
    let pointer = |result: &Value| result["problem"]["errors"][0]["pointer"].as_str().unwrap().to_owned();
    assert_eq!(pointer(&results[0]), "/operations/0/update/patch/attributes/department");
    assert!(pointer(&results[1]).starts_with("/operations/1/create/attributes/"), "{results}");
    assert!(pointers(&batch(true).answer().await)[0].starts_with("/operations/1/create/attributes/"));
    let file = r#"{"name":"A","email":"a@b.co","attributes":{"department":"IT"}}"#;
    let import = put(&app, "/api/v2/imports/a", NDJSON, file).answer().await.body(200);
    assert_eq!(
        (counts(&import), &import["failures"][0]["pointer"]),
        ([1, 0, 0, 0, 1], &json!("/attributes/department"))
    );
    assert_eq!(import["failures"][0]["code"], "invalid_attributes");
    let create = CreateUserRequest { name: "A".into(), email: "a@b.co".into(), ..Default::default() };
    let status = app.grpc().create_user(create).await.unwrap_err();
    assert_eq!(details(&status, "INVALID_ATTRIBUTES").bad_request().unwrap().field_violations[0].field, "attributes");
    assert_eq!(app.everyone().await, before);

    // A change of something else is none of attributes, and version 1 has none.
    app.patch(JOHN, &json!({ "name": "Jim" })).answer().await.body(200);
    app.post("/api/v1/users", &json!({ "name": "A", "email": "a@b.co" })).answer().await.body(201);
    app.patch(JOHN, &json!({ "attributes": { "department": "Sales", "address": { "zip": "01234" } } }))
        .answer()
        .await
        .body(200);
}

#[rstest]
#[tokio::test]
async fn what_was_stored_before_stays(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let folder = TempDir::new().unwrap();
    let path = schema(&folder, &json!({}));
    let app = with_schema(db, &path).await;
    let before = app.post(USERS, &john(&json!({ "department": "IT" }))).answer().await.body(201);
    app.post(USERS, &json!({ "name": "A", "email": "a@b.co", "attributes": { "department": "HR" } }))
        .answer()
        .await
        .body(201);
    let check = || {
        let vars = [("ATTRIBUTES_SCHEMA", path.to_str().unwrap())];
        app.database.program().envs(&vars).args(["check-attributes"]).run()
    };
    assert!(check().succeeded().stdout.contains("2 users, 0 of them"));

    schema(&folder, &departments());
    app.signal("HUP");
    app.logs("SIGHUP: took the schema for attributes").await;
    assert_eq!(app.get(JOHN).answer().await.body(200), before);
    app.patch(JOHN, &json!({ "status": "disabled" })).answer().await.body(200);
    assert_eq!(
        pointers(&app.patch(JOHN, &json!({ "attributes": { "more": 1 } })).answer().await),
        ["/attributes/department"]
    );
    let checked = check();
    let checked = checked.exited(1);
    assert!(checked.stdout.contains("user 1: /attributes/department\n2 users, 1 of them"), "{checked:?}");
    assert!(!format!("{checked:?}").contains("IT\""), "attributes may be personal data");

    // One that is no schema changes nothing.
    schema(&folder, &json!({ "type": "thing" }));
    app.signal("HUP");
    app.logs("the schema for attributes stays as it was").await;
    assert_eq!(
        pointers(&app.patch(JOHN, &json!({ "attributes": { "more": 1 } })).answer().await),
        ["/attributes/department"]
    );
}

#[test]
fn a_bad_schema_is_a_mistake_of_the_configuration() {
    let (folder, database) = (TempDir::new().unwrap(), Db::Sqlite.fresh());
    let path = schema(&folder, &json!({ "type": "thing" }));
    let none = folder.path().join("none.json");
    for (path, word) in [(&path, "is no JSON Schema"), (&none, "cannot be read")] {
        let vars = [("ATTRIBUTES_SCHEMA", path.to_str().unwrap())];
        let checked = database.program().envs(&vars).args(["check-config"]).run();
        let checked = checked.exited(2);
        assert!(checked.stderr.contains("ATTRIBUTES_SCHEMA") && checked.stderr.contains(word), "{checked:?}");
    }
    database.program().args(["check-attributes"]).run().exited(1);
}

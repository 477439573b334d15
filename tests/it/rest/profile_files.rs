//! External ids, statuses and attributes in imports and exports.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::import::{CSV, NDJSON, counts, put};
use crate::support::{Answered, App, Db};

const ATTRIBUTES: &str = r#"{"a,\"b\"":"=1+1","n":1.10}"#;

async fn export(app: &App, accept: &str) -> String {
    app.request(Method::GET, "/api/v2/users:export").header("accept", accept).answer().await.expect(200).text.clone()
}

async fn with_people(db: Db) -> App {
    let app = App::start(db).await;
    let body = format!(
        r#"{{"name":"Ada","email":"ada@b.co","external_id":"=x,1","status":"disabled","attributes":{ATTRIBUTES}}}"#
    );
    app.post("/api/v2/users", &json!({})).body(body).answer().await.body(201);
    app.create("Bob", "bob@b.co").await;
    app
}

/// What an export has of users, without what an import gives them anew.
fn lines(export: &str) -> Vec<Value> {
    let lines = export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let without_times = lines.map(|mut line| {
        if let Some(fields) = line.as_object_mut() {
            fields.retain(|name, _| !["id", "version", "created_at", "updated_at"].contains(&name.as_str()));
        }
        line
    });
    without_times.collect()
}

#[rstest]
#[tokio::test]
async fn what_goes_out_goes_in_again(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(NDJSON, CSV)] media_type: &str,
) {
    let (from, to) = (with_people(db).await, App::start(db).await);
    let file = export(&from, media_type).await;
    let stored = put(&to, "/api/v2/imports/a", media_type, file.clone()).answer().await.body(200);
    assert_eq!(counts(&stored), [2, 2, 0, 0, 0], "{stored}");
    let (before, after) = (export(&from, NDJSON).await, export(&to, NDJSON).await);
    assert_eq!(lines(&before), lines(&after));
    assert!(after.contains(&format!("\"attributes\":{ATTRIBUTES}")), "{after}");
    // Into the same users it changes nothing, and undoes what was changed meanwhile.
    let again = put(&from, "/api/v2/imports/b?on_conflict=update", media_type, file.clone()).answer().await.body(200);
    assert_eq!(counts(&again), [2, 0, 0, 2, 0]);
    let other = json!({ "external_id": "other", "attributes": { "n": 2 }, "status": "disabled" });
    for id in [1, 2] {
        let patch = if id == 1 {
            json!({ "external_id": null, "attributes": null, "status": "active" })
        } else {
            other.clone()
        };
        from.patch(&format!("/api/v2/users/{id}"), &patch).answer().await.expect(200);
    }
    let undone = put(&from, "/api/v2/imports/c?on_conflict=update", media_type, file).answer().await.body(200);
    assert_eq!(counts(&undone), [2, 0, 2, 0, 0]);
    assert_eq!(lines(&export(&from, NDJSON).await), lines(&before));
}

#[rstest]
#[tokio::test]
async fn a_file_changes_the_fields_that_it_has(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    let file = concat!(
        r#"{"name":"Ada","email":"ada@b.co"}"#,
        "\n",
        r#"{"name":"Ada","email":"ada@b.co","attributes":{"only":1}}"#,
        "\n",
        r#"{"name":"Bob","email":"bob@b.co","external_id":"=x,1"}"#,
        "\n",
        r#"{"name":"Cid","email":"cid@b.co","external_id":"=x,1"}"#,
        "\n",
        r#"{"name":"Dan","email":"dan@b.co","status":"gone","attributes":{"a":[{"b":"\u0000"}]}}"#,
        "\n",
    );
    let stored = put(&app, "/api/v2/imports/a?on_conflict=update", NDJSON, file).answer().await.body(200);
    assert_eq!(counts(&stored), [5, 0, 1, 1, 3], "{stored}");
    let failures = stored["failures"].as_array().unwrap().iter();
    let failures = failures
        .map(|failure| (&failure["line"], failure["code"].as_str().unwrap(), failure["pointer"].as_str().unwrap()));
    let expected = [
        (&json!(3), "external_id_taken", "/external_id"),
        (&json!(4), "external_id_taken", "/external_id"),
        (&json!(5), "invalid_user", "/status"),
        (&json!(5), "invalid_user", "/attributes/a/0/b"),
    ];
    assert_eq!(Vec::from_iter(failures), expected);
    let ada = app.get("/api/v2/users/1").answer().await.body(200);
    let fields = ["external_id", "status", "attributes"].map(|field| &ada[field]);
    assert_eq!(fields, [&json!("=x,1"), &json!("disabled"), &json!({ "only": 1 })]);
}

#[rstest]
#[tokio::test]
async fn an_export_is_filtered(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    for (query, expected) in [
        ("status=disabled", "Ada"),
        ("status=active", "Bob"),
        ("external_id=%3Dx,1", "Ada"),
        ("status=active&name_prefix=b", "Bob"),
    ] {
        let export = app.get(&format!("/api/v2/users:export?{query}")).answer().await.expect(200).text.clone();
        let found = lines(&export);
        assert_eq!((&found[0]["name"], found.len()), (&json!(expected), 2), "{query}");
    }
}

//! The OpenAPI document against the running server: every answer is documented, and every documented status occurs.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use super::openapi_calls::calls;
use crate::support::{Answer, Answered, App, Db, Spec, TOKEN, claims, token, user};

/// Statuses that only a fault or a slow client causes. Other tests cover them.
const RARE: [u16; 5] = [408, 429, 500, 503, 504];

/// Headers that are useful to a client, so the document must name them.
const USEFUL: [&str; 10] = [
    "accept-patch",
    "allow",
    "etag",
    "idempotency-replayed",
    "link",
    "location",
    "resume-after",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

fn body_fault(spec: &Spec, response: &Value, answer: &Answer) -> Option<String> {
    let content = response["content"].as_object();
    if answer.text.is_empty() {
        return content.map(|content| format!("a body is documented: {content:?}"));
    }
    let essence = answer.header("content-type").split(';').next().unwrap_or_default().trim();
    let Some(media) =
        content.and_then(|content| content.iter().find(|(name, _)| name.split(';').next() == Some(essence)))
    else {
        return Some(format!("{essence} is not documented"));
    };
    if essence != "application/json" && !essence.ends_with("+json") {
        return None;
    }
    let Some(schema) = media.1.get("schema") else {
        return Some("no schema".to_owned());
    };
    let faults = spec.faults(schema, &answer.json());
    (!faults.is_empty()).then(|| faults.join("; "))
}

fn header_fault(spec: &Spec, response: &Value, answer: &Answer) -> Option<String> {
    let documented: Vec<(String, &Value)> = response["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, header)| (name.to_lowercase(), spec.resolve(header)))
        .collect();
    let undocumented = USEFUL
        .into_iter()
        .find(|name| answer.headers.contains_key(*name) && documented.iter().all(|(other, _)| other != name));
    if let Some(name) = undocumented {
        return Some(format!("the header {name} is not documented"));
    }
    for (name, header) in &documented {
        let Some(text) = answer.headers.get(name.as_str()).and_then(|value| value.to_str().ok()) else { continue };
        let value = text.parse::<u64>().map_or_else(|_| text.into(), Value::from);
        let faults = spec.faults(&header["schema"], &value);
        if !faults.is_empty() {
            return Some(format!("the header {name}: {}", faults.join("; ")));
        }
    }
    // The last page has no link, an answer of the latest state no age, and what is no repetition does not say so.
    let is_optional = |name: &str| matches!(name, "link" | "age" | "idempotency-replayed");
    let missing = documented.iter().find(|(name, _)| !is_optional(name) && !answer.headers.contains_key(name.as_str()));
    missing.map(|(name, _)| format!("the header {name} is documented"))
}

#[rstest]
#[tokio::test]
async fn answers_and_document_agree(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "john@example.com").await;
    app.create("Jane", "jane@example.com").await;
    let spec = Spec(app.get("/openapi.json").answer().await.body(200));
    let (mut faults, mut answered, mut replayed) = (Vec::new(), BTreeSet::new(), 0);
    let (scopeless, large, calls) = (token(&claims("")), "x".repeat(20_000), calls());
    let described = || calls.iter().filter(|call| spec.operation(call.method, call.route).is_some());
    // First the requests that must be rejected and so change nothing.
    let refused = described().flat_map(|call| {
        let large = call.route.starts_with("/api/").then_some((call, Some(&*large)));
        [(call, None), (call, Some(&*scopeless))].into_iter().chain(large)
    });
    for (call, token) in refused.chain(described().map(|call| (call, Some(&**TOKEN)))) {
        let answer = call.send(&app, token).await;
        let at = format!("{} {} with {:.40} is {}", call.method, call.path, call.body, answer.status);
        replayed += usize::from(answer.headers.contains_key("idempotency-replayed"));
        answered.insert((call.method.to_owned(), call.route.to_owned(), answer.status));
        match spec.response(call.method, call.route, answer.status) {
            None => faults.push(format!("{at}: not documented")),
            Some(response) => {
                let found = [body_fault(&spec, response, &answer), header_fault(&spec, response, &answer)];
                faults.extend(found.into_iter().flatten().map(|fault| format!("{at}: {fault}")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(replayed, 2);
    assert_eq!(
        documented(&spec).difference(&answered).collect::<Vec<_>>(),
        Vec::<&_>::new(),
        "documented, not answered"
    );
}

fn documented(spec: &Spec) -> BTreeSet<(String, String, u16)> {
    let operations = spec.operations().into_iter();
    let statuses = operations.flat_map(|operation| {
        let responses = operation.spec["responses"].as_object().expect("responses");
        let statuses = responses.keys().map(|status| status.parse().expect("a status"));
        statuses.map(move |status| (operation.method.clone(), operation.path.to_owned(), status))
    });
    // It takes an upload that is under way.
    let is_held = |method: &str, path: &str, status| (method, path, status) == ("DELETE", "/api/v2/imports/{id}", 409);
    statuses.filter(|(method, path, status)| !RARE.contains(status) && !is_held(method, path, *status)).collect()
}

/// Every operation that needs the database documents its failure.
#[tokio::test]
async fn what_is_rare_is_documented_too() {
    let app = App::start(Db::Sqlite).await;
    let spec = Spec(app.get("/openapi.json").answer().await.body(200));
    for operation in spec.operations().iter().filter(|operation| operation.path.starts_with("/api/")) {
        let has_body = !matches!(operation.method.as_str(), "GET" | "DELETE");
        let reads = operation.method == "GET" || operation.path.ends_with(":batchGet");
        for (status, expected) in [(429, true), (431, true), (500, true), (503, true), (504, !reads), (408, has_body)] {
            let there = spec.response(&operation.method, operation.path, status).is_some();
            assert_eq!(there, expected, "{} {} {status}", operation.method, operation.path);
        }
    }
}

#[tokio::test]
async fn good_bodies_are_what_is_documented() {
    let app = App::start(Db::Sqlite).await;
    let spec = Spec(app.get("/openapi.json").answer().await.body(200));
    let john = user("John", "john@example.com");
    for operation in spec.operations() {
        let content = spec.resolve(&operation.spec["requestBody"])["content"].as_object();
        let expected = match operation.method.as_str() {
            _ if operation.path.contains("/imports/") => continue,
            "PATCH" => Some("application/merge-patch+json"),
            "POST" | "PUT" => Some("application/json"),
            _ => None,
        };
        let found = content.map(|content| content.keys().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found, expected.map(|one| vec![one]), "{} {}", operation.method, operation.path);
        let is_batch = operation.path.contains(":batch");
        for media in content.into_iter().flat_map(|content| content.values()).filter(|_| !is_batch) {
            assert_eq!(spec.faults(&media["schema"], &john), Vec::<String>::new());
            let stranger = json!({ "name": "John", "email": "john@example.com", "age": 7 });
            assert_ne!(spec.faults(&media["schema"], &stranger), Vec::<String>::new());
        }
    }
}

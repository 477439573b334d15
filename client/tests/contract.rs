//! The client's half of the contract in `contract/*.json`: it sends those requests and reads those responses. The
//! service's own tests check the other half against the same files.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]
#![allow(unreachable_pub, reason = "a test crate has no users")]

mod arguments;
mod fake;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arguments::{etag, fields, on_conflict, operations, patch};
use fake::{Fake, Seen, answer};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use user_service_client::{
    Client, Error, Event, Import, ListUsers, Notice, RequestId, TraceParent, User, UserV1, WatchUsers, Written,
};

/// One file of the contract.
#[derive(Deserialize)]
struct Contract {
    /// The client's call. `None` if the file covers only the response.
    call: Option<Value>,
    exchanges: Vec<Exchange>,
    /// The result of the call, or the response's body if there is no call.
    result: Outcome,
}

#[derive(Deserialize)]
struct Exchange {
    request: Request,
    answer: Answer,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    headers: serde_json::Map<String, Value>,
    body: Option<Value>,
    /// The lines of a file in NDJSON.
    lines: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    headers: serde_json::Map<String, Value>,
    body: Option<Value>,
    /// The blocks of a stream of server-sent events.
    stream: Option<Vec<String>>,
    /// The lines of a file in NDJSON.
    lines: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok(Value),
    Error(Value),
}

#[tokio::test]
async fn the_client_follows_the_contract() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract");
    let mut checked = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().display().to_string();
        let contract = serde_json::from_str(&fs::read_to_string(&path).unwrap());
        check(&name, contract.unwrap_or_else(|error| panic!("{name}: {error}"))).await;
        checked += 1;
    }
    assert!(checked > 0);
}

async fn check(name: &str, Contract { call, exchanges, result }: Contract) {
    let Some(call) = call else {
        let body = exchanges[0].answer.body.clone().expect("a body");
        let user: UserV1 = serde_json::from_value(body).unwrap_or_else(|error| panic!("{name}: {error}"));
        return assert_eq!(Outcome::Ok(json!(user)), result, "{name}");
    };
    let exchanges = Arc::new(exchanges);
    let answers = Arc::clone(&exchanges);
    // Further requests get no response.
    let fake = Fake::start(move |number, _| answers.get(number).map(|it| text(&it.answer)).unwrap_or_default()).await;
    let client = client(&fake.client(), &exchanges[0].request);
    let outcome = match outcome(&client, &call).await {
        Ok(value) => Outcome::Ok(value),
        Err(error) => Outcome::Error(error_json(&error)),
    };
    assert_eq!(outcome, result, "{name}");
    let seen = fake.seen();
    // Only a stream that ends may be requested again.
    let more = seen.len().checked_sub(exchanges.len());
    assert!(more == Some(0) || (more.is_some() && name.contains("watch")), "{name}: {seen:#?}");
    for (seen, exchange) in seen.iter().zip(exchanges.iter()) {
        compare(name, seen, &exchange.request);
    }
}

/// A client whose calls carry the headers of this request.
fn client(client: &Client, request: &Request) -> Client {
    let header = |name| request.headers.get(name).and_then(Value::as_str);
    let mut client = client.clone();
    if let Some(text) = header("x-request-id") {
        client = client.with_request_id(text.parse::<RequestId>().unwrap());
    }
    if let Some(text) = header("traceparent") {
        client = client.with_traceparent(text.parse::<TraceParent>().unwrap());
    }
    client
}

fn compare(name: &str, seen: &Seen, request: &Request) {
    assert_eq!((&seen.method, &seen.path), (&request.method, &request.path), "{name}");
    assert_eq!(seen.headers.get("authorization").map(String::as_str), Some("Bearer token"), "{name}");
    for (header, value) in &request.headers {
        assert_eq!(seen.headers.get(header).map(String::as_str), value.as_str(), "{name}: {header}");
    }
    let conditions = ["if-match", "last-event-id", "traceparent", "content-type"];
    for header in conditions.iter().filter(|name| !request.headers.contains_key(**name)) {
        assert_eq!(seen.headers.get(*header), None, "{name}");
    }
    if let Some(lines) = &request.lines {
        let seen = seen.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        return assert_eq!(&Vec::from_iter(seen), lines, "{name}");
    }
    assert_eq!(serde_json::from_str(&seen.body).ok(), request.body, "{name}");
}

fn text(Answer { status, headers, body, stream, lines }: &Answer) -> String {
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    if let Some(lines) = lines {
        return answer(*status, pairs, &String::from_iter(lines.iter().map(|line| format!("{line}\n"))));
    }
    match stream {
        Some(blocks) => {
            let head = answer(*status, pairs, "").replace("content-length: 0\r\n", "");
            head + &String::from_iter(blocks.iter().map(|block| format!("{block}\n\n")))
        }
        None => answer(*status, pairs, &body.as_ref().map(Value::to_string).unwrap_or_default()),
    }
}

/// Makes the call and returns its result.
async fn outcome(client: &Client, call: &Value) -> Result<Value, Error> {
    let (name, arguments) = call.as_object().unwrap().iter().next().expect("a call");
    let text = |name: &str| arguments[name].as_str().unwrap_or_default();
    let id = arguments["id"].as_i64().unwrap_or_default();
    let etag = etag(arguments);
    Ok(match name.as_str() {
        "create_user" => json!(client.create_user(&fields(arguments)).await?),
        "get_user" => json!(client.get_user(id).await?),
        "update_user" => json!(client.update_user(id, &fields(arguments), etag.as_ref()).await?),
        "patch_user" => json!(client.patch_user(id, &patch(arguments), etag.as_ref()).await?),
        "delete_user" => json!(client.delete_user(id, etag.as_ref()).await?),
        "list_users" => {
            let size = u8::try_from(arguments["page_size"].as_u64().unwrap()).unwrap();
            let list = ListUsers::new().name_prefix(text("name_prefix")).page_size(size);
            json!(client.list_users(list).try_collect::<Vec<User>>().await?)
        }
        "export_users" => {
            let export = client.export_users(ListUsers::new().name_prefix(text("name_prefix"))).await?;
            let resume_after = export.resume_after;
            json!({ "resume_after": resume_after, "users": export.users.try_collect::<Vec<User>>().await? })
        }
        "watch_users" => {
            let watch = WatchUsers::new().after(arguments["after"].as_i64().unwrap());
            let count = arguments["take"].as_u64().unwrap();
            let notices = client.watch_users(watch).take(usize::try_from(count).unwrap());
            json!(notices.map_ok(|notice| shown(&notice)).try_collect::<Vec<_>>().await?)
        }
        "write_users" => {
            let outcomes = client.write_users(&operations(arguments)).await?;
            json!(Vec::from_iter(outcomes.iter().map(|outcome| match outcome {
                Ok(written) => shown_written(written),
                Err(error) => json!({ "error": error_json(error) }),
            })))
        }
        "write_users_atomically" => {
            let written = client.write_users_atomically(&operations(arguments)).await?;
            json!(Vec::from_iter(written.iter().map(shown_written)))
        }
        "import_users" => {
            let users = arguments["users"].as_array().unwrap().iter().map(|user| Ok::<_, Error>(fields(user)));
            let users = stream::iter(Vec::from_iter(users));
            shown_import(&client.import_users(text("id"), users, on_conflict(arguments)).await?)
        }
        other => panic!("{other} is no call"),
    })
}

fn shown(Notice { position, event, .. }: &Notice) -> Value {
    json!({ "position": position, "event": event.as_ref().map(shown_event) })
}

fn shown_event(event: &Event) -> Value {
    json!({ "id": event.id, "type": event.r#type.as_str(), "time": event.time, "user_id": event.user_id,
        "version": event.version, "user": event.user, "traceparent": event.traceparent })
}

fn shown_written(Written { user, is_replay, .. }: &Written) -> Value {
    json!({ "user": user, "is_replay": is_replay })
}

fn shown_import(import: &Import) -> Value {
    let failures = Vec::from_iter(import.failures.iter().map(|failure| {
        json!({ "line": failure.line, "code": failure.code.as_str(), "pointer": failure.pointer,
            "detail": failure.detail })
    }));
    json!({ "id": import.id, "state": import.state.as_str(), "on_conflict": import.on_conflict.as_str(),
        "next_line": import.next_line, "records": import.records, "created": import.created,
        "updated": import.updated, "skipped": import.skipped, "failed": import.failed, "failures": failures })
}

fn error_json(error: &Error) -> Value {
    let problem = error.problem().unwrap_or_else(|| panic!("{error:?}"));
    let fields = problem.fields.iter().map(|field| json!({ "field": field.field, "detail": field.detail }));
    let mut json = json!({ "code": problem.code.as_str(), "detail": problem.detail, "fields": Vec::from_iter(fields),
        "trace_id": problem.trace_id, "request_id": problem.request_id });
    if let Some(operation) = problem.operation {
        json["operation"] = operation.into();
    }
    json
}

//! The requests of the walk through the OpenAPI document.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::support::{Answer, Answered, App};

const JOHN: &str = r#"{"name":"John","email":"john@example.com"}"#;
const TAKEN: &str = r#"{"name":"John","email":"JANE@example.com"}"#;
const NAMELESS: &str = r#"{"name":""}"#;

/// A request whose answer must be documented.
#[derive(Clone)]
pub struct Call {
    pub method: &'static str,
    pub route: &'static str,
    pub path: String,
    header: Option<(&'static str, &'static str)>,
    content_type: &'static str,
    pub body: String,
}

fn call(method: &'static str, route: &'static str) -> Call {
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    Call { method, route, path: route.replace("{id}", "1"), header: None, content_type, body: String::new() }
}

impl Call {
    fn to(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    fn query(&self, query: &str) -> Self {
        self.to(&format!("{}?{query}", self.route))
    }

    fn id(&self, id: &str) -> Self {
        self.to(&self.route.replace("{id}", id))
    }

    fn header(&self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self.clone() }
    }

    fn content_type(&self, content_type: &'static str) -> Self {
        Self { content_type, ..self.clone() }
    }

    fn body(&self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self.clone() }
    }

    pub async fn send(&self, app: &App, token: Option<&str>) -> Answer {
        let method: Method = self.method.parse().expect("a method");
        let mut request = app.anonymous(method, &self.path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((name, value)) = self.header {
            request = request.header(name, value);
        }
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, self.content_type).body(self.body.clone());
        }
        request.answer().await
    }
}

/// Every kind of invalid body, then a valid one.
fn bodies(good: &Call) -> Vec<Call> {
    vec![
        good.body("{"),
        good.body(NAMELESS),
        good.body(TAKEN),
        good.body(&format!("{JOHN}{}", " ".repeat(70_000))),
        good.content_type("text/plain").body(JOHN),
        good.body(JOHN),
    ]
}

/// Every kind of invalid request for one user, then a valid one.
fn item(method: &'static str, route: &'static str, body: &str) -> Vec<Call> {
    let good = call(method, route).body(body);
    let mut calls = vec![good.id("abc"), good.id("999")];
    if route.starts_with("/api/v2") {
        calls.extend([good.header("If-Match", "unquoted"), good.header("If-Match", r#""9""#)]);
        calls.push(good.header("If-None-Match", "*"));
    }
    calls.extend(if body.is_empty() { vec![good] } else { bodies(&good) });
    calls
}

/// Every kind of invalid batch, then valid ones.
fn batches() -> Vec<Call> {
    let (get, write) = (call("POST", "/api/v2/users:batchGet"), call("POST", "/api/v2/users:batchWrite"));
    let create = |email: &str| format!(r#"{{"create":{{"name":"x","email":"{email}"}}}}"#);
    let of = |operation: &str| write.body(&format!(r#"{{"operations":[{operation}]}}"#));
    let atomic = |operation: &str| write.body(&format!(r#"{{"operations":[{operation}],"atomic":true}}"#));
    let mut calls = vec![
        get.body("{"),
        get.body(&format!("{{}}{}", " ".repeat(1 << 20))),
        get.content_type("text/plain").body("{}"),
        get.body(r#"{"ids":[1]}"#).header("at-least-position", "1000000"),
        get.body(r#"{"ids":[1,99]}"#),
        get.body(r#"{"emails":["jane@example.com","x@example.com"]}"#),
        write.body("{"),
        write.body(&format!("{{}}{}", " ".repeat(1 << 20))),
        write.content_type("text/plain").body("{}"),
        of(r#"{"delete":{"id":0}}"#),
        atomic(r#"{"delete":{"id":99}}"#),
        atomic(r#"{"delete":{"id":1,"if_match":"\"9\""}}"#),
        atomic(&create("JANE@example.com")),
        atomic(&create("nobody")),
    ];
    calls.extend([create("four@example.com"), create("nobody")].map(|operation| of(&operation)));
    let keyed = of(&create("five@example.com")).header("Idempotency-Key", "batch");
    calls.extend([keyed.clone(), keyed]);
    calls
}

/// Every kind of invalid upload, then valid ones.
fn imports() -> Vec<Call> {
    let route = "/api/v2/imports/{id}";
    let [put, get, delete] = ["PUT", "GET", "DELETE"].map(|method| call(method, route).id("a"));
    let put = put.content_type("application/x-ndjson").body(JOHN);
    let calls = [
        put.id("a%20b"),
        put.content_type("text/plain"),
        put.clone(),
        put.body("x"),
        put.id("b").content_type("text/csv"),
        get.id("a%20b"),
        get.id("c"),
        get.clone(),
        delete.id("a%20b"),
        delete.clone(),
        delete,
    ];
    calls.into()
}

/// Requests that produce every documented status, except the rare ones.
pub fn calls() -> Vec<Call> {
    let (v1, v1_item) = ("/api/v1/users", "/api/v1/users/{id}");
    let (v2, v2_item) = ("/api/v2/users", "/api/v2/users/{id}");
    let mut calls = Vec::new();
    for path in ["/", "/health", "/livez", "/ready", "/readyz", "/metrics", "/openapi.json", "/docs"] {
        calls.push(call("GET", path));
    }
    let docs = call("GET", "/docs/{file}");
    calls.extend([docs.to("/docs/"), docs.to("/docs/nothing")]);
    let live = call("GET", "/live/{file}");
    calls.extend([live.to("/live/live.js"), live.to("/live/live.css"), live.to("/live/nothing")]);
    for route in [v1, v2] {
        calls.extend([call("GET", route), call("GET", route).query("unknown=1")]);
        calls.extend(bodies(&call("POST", route)).into_iter().map(|call| match call.body.as_str() {
            JOHN => call.body(&JOHN.replace("john@", if route == v1 { "one@" } else { "two@" })),
            _ => call,
        }));
    }
    calls
        .extend([call("GET", v2).query("page_token=damaged"), call("GET", v2).query("page_size=1&include_total=true")]);
    let export = call("GET", "/api/v2/users:export");
    calls.extend([export.clone(), export.header("Accept", "text/csv"), export.header("Accept", "text/html")]);
    calls.push(export.query("unknown=1"));
    let events = call("GET", "/api/v2/events");
    calls.extend([events.query("type=user.created"), events.query("unknown=1"), events.header("Last-Event-ID", "999")]);
    calls.extend(item("GET", v1_item, ""));
    calls.extend(item("PUT", v1_item, JOHN));
    calls.extend(item("GET", v2_item, ""));
    calls.extend([v2, v2_item].map(|route| call("GET", route).header("at-least-position", "1000000")));
    calls.extend(item("PUT", v2_item, JOHN));
    calls.extend(item("PATCH", v2_item, JOHN));
    // Executed, repeated, and then the same key for others.
    let keyed = call("POST", v2).body(&JOHN.replace("john@", "three@"));
    let reused = [call("POST", v1).body(JOHN), call("PUT", v1_item).body(JOHN), call("DELETE", v1_item)];
    let reused = reused.into_iter().chain([call("DELETE", v2_item)]);
    calls.extend([keyed.clone(), keyed].into_iter().chain(reused).map(|call| call.header("Idempotency-Key", "k")));
    calls.extend(batches());
    calls.extend(imports());
    calls.extend(item("DELETE", v2_item, ""));
    calls.extend(item("DELETE", v1_item, "").into_iter().map(|call| call.to(&call.path.replace("/1", "/2"))));
    calls
}

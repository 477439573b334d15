//! The OpenAPI document accepts the same texts as the service.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db, Spec, keeps_to, query_string};

const USER: &str = "/api/v2/users/{id}";
const USERS: &str = "/api/v2/users";

/// Valid and invalid texts for one field or parameter.
struct Texts {
    good: Vec<String>,
    bad: Vec<String>,
}

impl Texts {
    fn new(good: &[&str], bad: &[&str]) -> Self {
        let owned = |texts: &[&str]| Vec::from_iter(texts.iter().map(|text| (*text).to_owned()));
        Self { good: owned(good), bad: owned(bad) }
    }

    fn with(mut self, good: &[String], bad: &[String]) -> Self {
        self.good.extend_from_slice(good);
        self.bad.extend_from_slice(bad);
        self
    }

    fn each(&self) -> impl Iterator<Item = (&str, bool)> {
        let good = self.good.iter().map(|text| (text.as_str(), true));
        good.chain(self.bad.iter().map(|text| (text.as_str(), false)))
    }
}

fn names() -> Texts {
    let good = ["Ada", "x", "  Ada Lovelace\n", "O'Neil", "Anne-Marie", "महेश", "山田 太郎", "👩‍👩‍👧", "\u{3000}Ada\u{85}"];
    let bad = ["", " \t ", "\u{3000}", "a\nb", "a\0b", "a\u{7f}b", "a\u{85}b", "a\u{9f}"];
    let long =
        |length| ["x".repeat(length), "é".repeat(length), "👩".repeat(length), format!(" {}\t", "x".repeat(length))];
    Texts::new(&good, &bad).with(&long(100), &long(101))
}

fn emails() -> Texts {
    let good = ["a@b.co", "Ada.Lovelace+x@example.com", "o'neil_-!#$%&*/=?^`{|}~@a-b.example", "müller@münchen.de"];
    let bad = [
        "",
        "a",
        "@b.co",
        "a@",
        "a b@c.de",
        "a@b@c.de",
        " a@b.co",
        "a@b.co ",
        "a\n@b.co",
        "a@b.co\n",
        "a\u{85}@b.co",
        ".a@b.co",
        "a.@b.co",
        "a..b@c.de",
        "a@b..co",
        "a@.b.co",
        "a@[127.0.0.1]",
        "Ann <a@b.co>",
        "a@b c.de",
        "a(b)@c.de",
        "a@b,c.de",
    ];
    let labels = format!("{0}.{0}.{0}.{0}.{0}", "a".repeat(60));
    let long = |length: usize| format!("u@{}", &labels[..length - 2]);
    Texts::new(&good, &bad).with(&[long(254)], &[long(255)])
}

fn tags() -> Texts {
    let good = ["*", "\"1\"", "W/\"1\"", "\"1\", \"2\"", "\"1\",,W/\"2\" ,", "\"a,b\"", "\"\""];
    let bad = ["", "1", "\"1", "1\"", "\"1\" \"2\"", ",", "w/\"1\"", "*, \"1\"", "'1'", "**"];
    let many = |count| vec!["\"1\""; count].join(", ");
    Texts::new(&good, &bad).with(&[many(8)], &[many(9)])
}

fn ids() -> Texts {
    Texts::new(&["1", "999", "9223372036854775807"], &["0", "-1", "abc", "1.5", "9300000000000000000", "1e30"])
}

/// The JSON value that a parameter's text represents.
fn value(schema: &Value, text: &str) -> Value {
    if schema["type"] == "string" { text.into() } else { serde_json::from_str(text).unwrap_or_else(|_| text.into()) }
}

struct Check {
    app: App,
    spec: Spec,
    faults: Vec<String>,
}

impl Check {
    fn note(&mut self, place: &str, text: &str, expected: bool, documented: bool, status: u16) {
        let is_taken = !matches!(status, 400 | 422);
        if is_taken != expected || documented != expected {
            let found = format!("documented {documented}, answered {status}, expected {expected}");
            self.faults.push(format!("{place} {text:?}: {found}"));
        }
    }

    async fn queries(&mut self, path: &str, name: &str, texts: &Texts) {
        let schema = self.spec.parameter("GET", path, name).clone();
        for (text, expected) in texts.each() {
            let status = self.app.get(&format!("{path}?{}", query_string(&[(name, text)]))).answer().await.status;
            self.note(&format!("{path}?{name}"), text, expected, keeps_to(&schema, &value(&schema, text)), status);
        }
    }

    async fn headers(&mut self, method: &str, path: &str, name: &str, texts: &Texts) {
        let schema = self.spec.parameter(method, path, name).clone();
        let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        for (text, expected) in texts.each() {
            let request = self.app.request(method.parse::<Method>().unwrap(), &path.replace("{id}", "1"));
            let request = request.header(name, text).header("content-type", content_type);
            let request = if method == "PUT" { request.body(r#"{"name":"A","email":"a@b.co"}"#) } else { request };
            let request = if method == "PATCH" { request.body("{}") } else { request };
            let status = request.answer().await.status;
            self.note(
                &format!("{method} {path} {name}"),
                text,
                expected,
                keeps_to(&schema, &value(&schema, text)),
                status,
            );
        }
    }

    async fn paths(&mut self, path: &str, texts: &Texts) {
        let schema = self.spec.parameter("GET", path, "id").clone();
        for (text, expected) in texts.each() {
            let status = self.app.get(&path.replace("{id}", text)).answer().await.status;
            self.note(path, text, expected, keeps_to(&schema, &value(&schema, text)), status);
        }
    }

    async fn bodies(&mut self, method: &str, path: &str, bodies: &[(Value, bool)]) {
        let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let schema = self.spec.body(method, path, content_type).clone();
        for (body, expected) in bodies {
            let request = self.app.request(method.parse::<Method>().unwrap(), &path.replace("{id}", "1"));
            let status = request.header("content-type", content_type).body(body.to_string()).answer().await.status;
            self.note(&format!("{method} {path}"), &body.to_string(), *expected, keeps_to(&schema, body), status);
        }
    }
}

async fn check() -> Check {
    let app = App::start(Db::Sqlite).await;
    app.create("John", "john@example.com").await;
    let spec = Spec(app.get("/openapi.json").answer().await.body(200));
    Check { app, spec, faults: Vec::new() }
}

#[tokio::test]
async fn bodies_are_what_the_document_says() {
    let mut check = check().await;
    let with_names = names();
    let with_names =
        with_names.each().map(|(name, expected)| (json!({ "name": name, "email": "john@example.com" }), expected));
    let with_emails = emails();
    let with_emails = with_emails.each().map(|(email, expected)| (json!({ "name": "John", "email": email }), expected));
    let strange =
        [json!({ "name": "John" }), json!({ "name": "John", "email": null }), json!({ "name": 1, "email": "a@b.co" })];
    let strange =
        strange.into_iter().chain([json!({ "name": "John", "email": "a@b.co", "id": 1 }), json!([]), json!("x")]);
    let bodies = Vec::from_iter(with_names.chain(with_emails).chain(strange.map(|body| (body, false))));
    for (method, path) in [("POST", USERS), ("PUT", USER), ("POST", "/api/v1/users"), ("PUT", "/api/v1/users/{id}")] {
        check.bodies(method, path, &bodies).await;
    }
    let long = "x".repeat(255);
    let profiles = [
        (json!({ "external_id": long }), true),
        (json!({ "external_id": format!("{long}x") }), false),
        (json!({ "external_id": null, "attributes": null, "status": "active" }), true),
        (json!({ "external_id": "" }), false),
        (json!({ "external_id": "a\nb" }), false),
        (json!({ "status": "disabled", "attributes": { "a": [1.5, { "b": null }] } }), true),
        (json!({ "status": null }), false),
        (json!({ "status": "gone" }), false),
        (json!({ "attributes": [] }), false),
    ];
    check.bodies("PATCH", USER, &profiles).await;
    let whole = profiles.map(|(mut body, expected)| {
        body.as_object_mut()
            .unwrap()
            .extend(json!({ "name": "John", "email": "john@example.com" }).as_object().unwrap().clone());
        (body, expected)
    });
    check.bodies("PUT", USER, &whole).await;
    let patches = Vec::from_iter(names().each().map(|(name, expected)| (json!({ "name": name }), expected)));
    check.bodies("PATCH", USER, &patches).await;
    let patches = Vec::from_iter(emails().each().map(|(email, expected)| (json!({ "email": email }), expected)));
    check.bodies("PATCH", USER, &patches).await;
    check
        .bodies("PATCH", USER, &[(json!({}), true), (json!({ "name": null }), false), (json!({ "id": 2 }), false)])
        .await;
    assert!(check.faults.is_empty(), "{}", check.faults.join("\n"));
}

#[tokio::test]
async fn parameters_are_what_the_document_says() {
    let mut check = check().await;
    check.app.create("Jane", "jane@example.com").await;
    let token = check.app.get("/api/v2/users?page_size=1").answer().await.body(200)["next_page_token"].clone();
    let sizes = Texts::new(&["1", "100", "101"], &["0", "-1", "abc", "1.5", ""]);
    let prefixes =
        Texts::new(&["", " ", "Ad", "山"], &["a\nb", "\0", "\u{85}"]).with(&["é".repeat(100)], &["é".repeat(101)]);
    check.queries(USERS, "page_size", &sizes).await;
    check.queries(USERS, "page_token", &Texts::new(&[token.as_str().unwrap()], &["", "abc", "damaged!", "a b"])).await;
    for path in [USERS, "/api/v2/users:export"] {
        check.queries(path, "email", &emails()).await;
        check.queries(path, "name_prefix", &prefixes).await;
        check.queries(path, "status", &Texts::new(&["active", "disabled"], &["", "Active", "gone"])).await;
        check.queries(path, "external_id", &Texts::new(&["x", " ", "山"], &["", "a\nb", "\0"])).await;
    }
    check.queries(USERS, "order_by", &Texts::new(&["id", "-name", "email"], &["", "-", "Name", "version"])).await;
    check.queries(USERS, "include_total", &Texts::new(&["true", "false"], &["1", "yes", "True", ""])).await;
    for name in ["page", "limit"] {
        check.queries("/api/v1/users", name, &sizes).await;
    }
    let types = Texts::new(
        &["user.created", "user.created,user.deleted", "user.updated,user.updated"],
        &["", "user", "user.created,", ",user.created", " user.created", "user.created user.deleted", "user_created"],
    );
    check.queries("/api/v2/events", "type", &types).await;
    let seen = Texts::new(&["0", "1"], &["-1", "x", "1.5", "", "9300000000000000000"]);
    check.headers("GET", "/api/v2/events", "Last-Event-ID", &seen).await;
    for path in [USER, "/api/v1/users/{id}"] {
        check.paths(path, &ids()).await;
    }
    assert!(check.faults.is_empty(), "{}", check.faults.join("\n"));
}

#[tokio::test]
async fn conditions_are_what_the_document_says() {
    let mut check = check().await;
    for method in ["GET", "PUT", "PATCH"] {
        check.headers(method, USER, "If-Match", &tags()).await;
    }
    check.headers("GET", USER, "If-None-Match", &tags()).await;
    let any = Texts::new(&["*"], &["\"1\"", "W/\"1\"", "", "1", "*, *"]);
    for method in ["PUT", "PATCH", "DELETE"] {
        check.headers(method, USER, "If-None-Match", &any).await;
    }
    check.headers("DELETE", USER, "If-Match", &tags()).await;
    assert!(check.faults.is_empty(), "{}", check.faults.join("\n"));
}

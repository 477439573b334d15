//! The program behind a function URL, called over HTTP as a browser does. `cargo lambda` creates the events, and
//! decodes the answers with AWS's types.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::lambda::Lambda;
use crate::support::{Answer, Answered, Database, Db, TOKEN, user};

/// The headers that a browser sends with every request.
const BROWSER: [(&str, &str); 6] = [
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "de-DE,de;q=0.9,en;q=0.8"),
    ("cookie", "theme=dark; session=\"a b\"; empty="),
    ("sec-fetch-mode", "navigate"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
];

struct Browser {
    lambda: Lambda,
    _database: Database,
}

impl Browser {
    async fn start() -> Self {
        let database = Db::Postgres.fresh();
        Self { lambda: Lambda::start(&database).await, _database: database }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = self.lambda.over_http(method, path).body(body.to_owned());
        for (name, value) in BROWSER.iter().chain(headers) {
            request = request.header(*name, *value);
        }
        request.answer().await
    }

    /// Sends a request with a token, and a body of this type.
    async fn send(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Answer {
        let headers = [("authorization", &*format!("Bearer {}", *TOKEN)), ("content-type", content_type)];
        self.ask(method, path, &headers, &body.to_string()).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let token = format!("Bearer {}", *TOKEN);
        self.ask(Method::GET, path, &[headers, &[("authorization", &token)]].concat(), "").await
    }
}

#[tokio::test]
async fn it_creates_reads_changes_and_deletes() {
    let browser = Browser::start().await;
    let created =
        browser.send(Method::POST, "/api/v2/users", "application/json", &user("Zoë", "zoe@example.com")).await;
    let zoe = created.body(201);
    assert_eq!((&zoe["name"], created.header("location")), (&json!("Zoë"), "/api/v2/users/1"));
    let read = browser.get("/api/v2/users/1", &[]).await;
    assert_eq!(read.body(200), zoe);
    browser.get("/api/v2/users/1", &[("if-none-match", read.header("etag"))]).await.empty(304);
    let page = browser.get("/api/v2/users?name_prefix=zo%C3%AB&include_total=true", &[]).await.body(200);
    assert_eq!((&page["users"], &page["total"]), (&json!([zoe]), &json!(1)));
    // The emulator does not count this media type as text, so it encodes the body in base64.
    let patch = json!({ "name": "Zoe" });
    let patched = browser.send(Method::PATCH, "/api/v2/users/1", "application/merge-patch+json", &patch).await;
    assert_eq!(patched.body(200)["name"], "Zoe");
    browser.send(Method::DELETE, "/api/v1/users/1", "application/json", &Value::Null).await.empty(204);
    browser.get("/api/v1/users/1", &[]).await.error(404);
}

#[tokio::test]
async fn it_refuses_what_http_refuses() {
    let browser = Browser::start().await;
    let stranger = browser.ask(Method::GET, "/api/v2/users", &[], "").await;
    stranger.problem(401, "unauthorized");
    assert!(stranger.header("www-authenticate").starts_with("Bearer "));
    browser.get("/api/v2/users/1", &[]).await.problem(404, "user_not_found");
    browser.get("/api/v2/users?page_size=x", &[]).await.problem(400, "invalid_query");
    let invalid = browser.send(Method::POST, "/api/v2/users", "application/json", &user("", "nobody")).await;
    assert_eq!(invalid.invalid_fields(), ["/email", "/name"]);
}

/// The browser receives the bytes that the function encoded in base64.
#[tokio::test]
async fn it_shows_a_page() {
    let browser = Browser::start().await;
    let page = browser.lambda.over_http(Method::GET, "/docs/swagger-ui.css").header("accept-encoding", "gzip");
    let page = page.send().await.expect("an answer");
    assert_eq!((page.status().as_u16(), &page.headers()["content-encoding"]), (200, &"gzip".parse().unwrap()));
    let bytes = page.bytes().await.expect("a body");
    assert_eq!(bytes[..2], [0x1f, 0x8b], "gzip begins with these bytes");
}

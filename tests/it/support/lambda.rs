use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use url::form_urlencoded;

use super::answer::Answer;
use super::{Database, TOKEN, beside_python, planned_port, signal, until};

/// The emulator's name for a function without a name.
const FUNCTION: &str = "_";
const START: Duration = Duration::from_mins(1);

/// AWS Lambda, emulated by `cargo lambda`, with the service as its function.
pub struct Lambda {
    emulator: Child,
    function: Child,
    address: String,
    http: Client,
    dir: TempDir,
}

impl Lambda {
    pub async fn start(database: &Database) -> Self {
        Self::start_with(database, &[]).await
    }

    pub async fn start_with(database: &Database, vars: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let port = planned_port();
        let log = |name| File::create(dir.path().join(name)).expect("a log");
        // `cargo lambda` requires a package, although it has nothing to build.
        fs::write(dir.path().join("Cargo.toml"), "[package]\nname = \"function\"\n").expect("a package");
        fs::create_dir(dir.path().join("src")).expect("its folder");
        fs::write(dir.path().join("src/main.rs"), "fn main() {}").expect("its source");
        let mut emulator = beside_python("cargo-lambda");
        emulator.args(["lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1", "--invoke-port"]);
        emulator.arg(port.to_string()).current_dir(dir.path()).stdin(Stdio::null());
        emulator.stdout(log("emulator.out")).stderr(log("emulator"));
        let emulator = emulator.spawn().expect("cargo-lambda starts: run scripts/test");
        let address = format!("127.0.0.1:{port}");
        let http = super::http().timeout(Duration::from_secs(30)).build().expect("an HTTP client");
        until("the emulator listens", START, async || TcpStream::connect(&address).await.is_ok()).await;
        let runtime_api = format!("http://{address}/.rt");
        let function = database
            .program()
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
            .env("AWS_LAMBDA_FUNCTION_NAME", FUNCTION)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .envs(vars)
            .with_a_key();
        let function = function.into_command().stdout(Stdio::null()).stderr(log("function")).spawn();
        Self { emulator, function: function.expect("the program starts"), address, http, dir }
    }

    /// Sends a signal to the function's process.
    pub fn signal(&self, name: &str) {
        assert!(signal::send(name, self.function.id()), "the function runs");
    }

    /// What the function has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("function")).expect("a log")
    }

    /// A request to the function's URL, through the emulator.
    pub fn over_http(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}/lambda-url/{FUNCTION}{path}", self.address))
    }

    /// Invokes the function with a trigger's event of a request, and returns the client's answer.
    pub async fn ask(&self, trigger: Trigger, request: &Request) -> Answer {
        let (status, answer) = self.invoke(&trigger.event(request)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        read(&answer)
    }

    /// Invokes the function with an event. A status other than 200 comes from the emulator, not from the function.
    pub async fn invoke(&self, event: &Value) -> (StatusCode, Value) {
        let url = format!("http://{}/2015-03-31/functions/{FUNCTION}/invocations", self.address);
        let answer = self.http.post(url).json(event).send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("its text");
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}\n{}", self.log())))
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        for child in [&mut self.function, &mut self.emulator] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A request as its client sends it, before AWS turns it into an event.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// Without a token.
    pub fn anonymous(method: &'static str, path: &str) -> Self {
        let headers = BTreeMap::from([("host".to_owned(), "users.example.com".to_owned())]);
        Self { method, path: path.to_owned(), query: Vec::new(), headers, body: Vec::new() }
    }

    pub fn new(method: &'static str, path: &str) -> Self {
        Self::anonymous(method, path).header("authorization", &format!("Bearer {}", *TOKEN))
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().as_bytes())
    }

    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type", content_type)
    }

    fn query_string(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish()
    }
}

/// What invokes the function. Each trigger has its own shape of event.
#[derive(Clone, Copy, Debug)]
pub enum Trigger {
    /// API Gateway, version 1.
    RestApi,
    /// API Gateway, version 2.
    HttpApi,
    FunctionUrl,
    LoadBalancer,
}

impl Trigger {
    pub const ALL: [Self; 4] = [Self::RestApi, Self::HttpApi, Self::FunctionUrl, Self::LoadBalancer];

    /// The event of a request.
    pub fn event(self, request: &Request) -> Value {
        self.event_from(request, "192.0.2.7")
    }

    /// The event of a request from this client.
    pub fn event_from(self, request: &Request, client: &str) -> Value {
        let Request { method, path, headers, .. } = request;
        match self {
            Self::RestApi => with_body(
                request,
                json!({
                    "resource": "/{proxy+}", "path": path, "httpMethod": method,
                    "headers": headers, "multiValueHeaders": lists(headers.iter()),
                    "queryStringParameters": map(request.query.iter()),
                    "multiValueQueryStringParameters": lists(request.query.iter().map(|(name, value)| (name, value))),
                    "pathParameters": { "proxy": path }, "stageVariables": null,
                    "requestContext": {
                        "accountId": "123456789012", "apiId": "id", "domainName": "id.execute-api.eu-west-1.amazonaws.com",
                        "extendedRequestId": "id", "httpMethod": method, "path": format!("/api{path}"),
                        "protocol": "HTTP/1.1", "requestId": "id", "requestTime": "27/Nov/2026:12:00:00 +0000",
                        "requestTimeEpoch": 1_795_780_800_000_i64, "resourceId": "id", "resourcePath": "/{proxy+}",
                        "stage": "api", "identity": { "sourceIp": client, "userAgent": "test" },
                    },
                }),
            ),
            Self::HttpApi => version_2(request, "prod", &format!("/prod{path}"), client),
            Self::FunctionUrl => {
                let mut event = version_2(request, "$default", path, client);
                // A function URL encodes text too.
                event["isBase64Encoded"] = true.into();
                event["body"] = STANDARD.encode(&request.body).into();
                event
            }
            Self::LoadBalancer => {
                let mut headers = headers.clone();
                headers.insert("x-forwarded-for".to_owned(), format!("203.0.113.99, {client}"));
                // A load balancer passes on the query without decoding it.
                let encoded = |text: &String| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let query = Vec::from_iter(request.query.iter().map(|(name, value)| (encoded(name), encoded(value))));
                with_body(
                    request,
                    json!({
                        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:a" } },
                        "httpMethod": method, "path": path, "headers": headers,
                        "queryStringParameters": map(query.iter()),
                    }),
                )
            }
        }
    }
}

fn version_2(request: &Request, stage: &str, path: &str, client: &str) -> Value {
    let Request { method, headers, .. } = request;
    let time = "27/Nov/2026:12:00:00 +0000";
    with_body(
        request,
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": request.query_string(),
            "headers": headers, "queryStringParameters": map(request.query.iter()),
            "requestContext": {
                "accountId": "123456789012", "apiId": "id", "domainName": "users.example.com", "domainPrefix": "id",
                "http": {
                    "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": client, "userAgent": "test",
                },
                "requestId": "id", "routeKey": "$default", "stage": stage, "time": time,
                "timeEpoch": 1_795_780_800_000_i64,
            },
        }),
    )
}

fn with_body(request: &Request, mut event: Value) -> Value {
    let text = std::str::from_utf8(&request.body);
    event["isBase64Encoded"] = text.is_err().into();
    event["body"] = match text {
        Ok("") => Value::Null,
        Ok(text) => text.into(),
        Err(_) => STANDARD.encode(&request.body).into(),
    };
    event
}

fn map<'a>(pairs: impl Iterator<Item = &'a (String, String)>) -> Map<String, Value> {
    pairs.map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

fn lists<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> Map<String, Value> {
    pairs.map(|(name, value)| (name.clone(), json!([value]))).collect()
}

/// The answer that a client receives for the function's result.
fn read(answer: &Value) -> Answer {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &Value| {
        let value = HeaderValue::from_str(value.as_str().expect("a value")).expect("a header's value");
        headers.append(name.parse::<HeaderName>().expect("a header's name"), value);
    };
    // A load balancer uses only one of the two fields.
    let one = answer["headers"].as_object().filter(|_| answer["multiValueHeaders"].is_null());
    for (name, value) in one.into_iter().flatten() {
        add(name, value);
    }
    for (name, values) in answer["multiValueHeaders"].as_object().into_iter().flatten() {
        values.as_array().expect("values").iter().for_each(|value| add(name, value));
    }
    let body = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true { decoded(body) } else { body.as_bytes().to_vec() };
    let text = String::from_utf8(body).expect("text");
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    Answer::checked(status.unwrap_or_else(|| panic!("no status: {answer}")), headers, text)
}

pub fn decoded(body: &str) -> Vec<u8> {
    STANDARD.decode(body).expect("base64")
}

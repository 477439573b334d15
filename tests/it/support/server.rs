use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, redirect};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::answer::Answered;
use super::metrics::Metrics;
use super::program::Program;
use super::token::TOKEN;
use super::{signal, until};

const START: Duration = Duration::from_secs(20);

/// A server process, killed when it is dropped.
pub struct Server {
    child: Child,
    address: String,
    /// Host and port of gRPC.
    grpc_address: String,
    log: Arc<Mutex<Vec<String>>>,
    http: Client,
}

impl Server {
    /// Starts a server and returns as soon as it listens, whether it is ready or not.
    pub fn listening(program: Program) -> Self {
        Self::try_listening(program).unwrap_or_else(|log| panic!("the server does not listen: {log:#?}"))
    }

    /// The same; or the log of a server that ends before, or does not listen in time.
    pub fn try_listening(program: Program) -> Result<Self, Vec<String>> {
        let mut command = program.env("SERVER_PORT", "0").env("GRPC_PORT", "0").with_a_key().into_command();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (found, address) = channel();
        let stderr = child.stderr.take().expect("stderr is piped");
        let kept = Arc::clone(&log);
        thread::spawn(move || keep(stderr, &kept, &found));
        // The server logs them in this order.
        let (Ok(grpc_address), Ok(address)) = (address.recv_timeout(START), address.recv_timeout(START)) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(log.lock().unwrap().clone());
        };
        Ok(Self { child, address, grpc_address, log, http: client() })
    }

    pub async fn ready(&self) {
        until("the server is ready", START, async || self.is_ready().await).await;
    }

    pub async fn is_ready(&self) -> bool {
        self.get("/ready").try_answer().await.is_ok_and(|answer| answer.status == 200)
    }

    /// Waits until lists can be filtered by all attributes that the configuration names.
    pub async fn indexed(&self) {
        const LIMIT: Duration = Duration::from_mins(1);
        let is_complete = |index: &Value| index["percent"] == 100;
        until("the attributes are indexed", LIMIT, async || {
            let ready = self.get("/ready").answer().await.body(200);
            ready["attribute_indexes"].as_array().is_some_and(|indexes| indexes.iter().all(is_complete))
        })
        .await;
    }

    /// What `/ready` reports as failing; empty if nothing fails.
    pub async fn failing(&self) -> String {
        self.get("/ready").answer().await.json()["failing"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `/ready` reports this as failing.
    pub async fn fails_for(&self, word: &str) {
        until(&format!("/ready names {word}"), START, async || self.failing().await == word).await;
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Host and port of gRPC.
    pub fn grpc_address(&self) -> &str {
        &self.grpc_address
    }

    pub fn port(&self) -> &str {
        self.address.rsplit(':').next().expect("a port")
    }

    /// The log as far as it has been read.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits until the log contains this: the service logs on a thread of its own, and may answer first.
    pub async fn logs(&self, text: &str) {
        until(&format!("the log has {text}"), START, async || self.log().contains(text)).await;
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&*TOKEN)
    }

    /// A request without a token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn head(&self, path: &str) -> RequestBuilder {
        self.request(Method::HEAD, path)
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    pub fn put(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::PUT, path).json(body)
    }

    pub fn patch(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::PATCH, path).header(CONTENT_TYPE, "application/merge-patch+json").json(body)
    }

    /// Creates a user with version 2 of the API and returns it.
    pub async fn create(&self, name: &str, email: &str) -> Value {
        self.post("/api/v2/users", &user(name, email)).answer().await.body(201)
    }

    /// A scrape of `/metrics`.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.get("/metrics").answer().await.expect(200).text)
    }

    /// The resident memory of the process, in bytes.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes << 10
    }

    /// All users, ordered by id.
    pub async fn everyone(&self) -> Vec<Value> {
        let mut everyone = Vec::new();
        let mut next = Some("/api/v2/users?page_size=100".to_owned());
        while let Some(path) = next {
            let page = self.get(&path).answer().await;
            everyone.extend(page.body(200)["users"].as_array().expect("users").iter().cloned());
            next = page.next_link();
        }
        everyone
    }

    /// All users, by the email as it was given.
    pub async fn by_email(&self) -> HashMap<String, Value> {
        let everyone = self.everyone().await.into_iter();
        everyone.map(|user| (email(&user).to_owned(), user)).collect()
    }

    pub fn signal(&self, name: &str) {
        assert!(signal::send(name, self.child.id()), "the server has ended already");
    }

    /// Waits for the process to end by itself.
    pub async fn exit(&mut self, within: Duration) -> ExitStatus {
        until("the server ends", within, async || self.status().is_some()).await;
        self.status().expect("an exit status")
    }

    /// How the process has ended; `None` while it runs.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the server's status")
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log());
        }
    }
}

/// The body of a request about one user.
pub fn user(name: &str, email: &str) -> Value {
    json!({ "name": name, "email": email })
}

pub fn email(user: &Value) -> &str {
    user["email"].as_str().expect("an email")
}

/// Encodes names and values as a form does.
pub fn query_string(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn client() -> Client {
    http().redirect(redirect::Policy::none()).timeout(Duration::from_secs(30)).build().expect("an HTTP client")
}

/// Builds HTTP clients for tests. The client package builds reqwest without a cryptographic backend, so this installs
/// one.
pub fn http() -> ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy()
}

/// Reads stderr to its end, so that the server never blocks on output.
fn keep(stderr: ChildStderr, log: &Mutex<Vec<String>>, address: &Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let http = line.split_once("listening on http").and_then(|(_, rest)| rest.split_once("://"));
        if let Some((_, rest)) = line.split_once("gRPC on ").or(http) {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':'))).unwrap_or(rest.len());
            let _ = address.send(rest[..end].to_owned());
        }
        log.lock().unwrap().push(line);
    }
}

//! Pipelined requests: each gets the answer that it would get alone, or none.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rstest::rstest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    App, Authority, Db, Program, SECRET, Server, Strict, TOKEN, Whole, claims, email, now, tcp, token, until,
};

/// Concurrent connections.
const AT_ONCE: usize = 4;
/// Users that exist at the start, enough for each DELETE to have its own.
const USERS: usize = 2000;

/// A kind of request. The kinds differ in their answers or in how these are framed.
struct Kind {
    name: &'static str,
    method: &'static str,
    /// The text of the request with this number. Each number gives another request.
    text: fn(usize) -> String,
    /// Whether the answer is a stream without an end.
    streams: bool,
    /// Whether the request creates a user.
    creates: bool,
}

const fn kind(name: &'static str, method: &'static str, text: fn(usize) -> String) -> Kind {
    Kind { name, method, text, streams: false, creates: false }
}

const KINDS: &[Kind] = &[
    kind("GET", "GET", |at| head(at, "GET /api/v2/users/1")),
    kind("GET of nobody", "GET", |at| head(at, "GET /api/v1/users/999999")),
    kind("GET that is known already", "GET", |at| with(at, "GET /api/v2/users/1", "If-None-Match: *\r\n", "")),
    kind("HEAD", "HEAD", |at| head(at, "HEAD /api/v2/users/1")),
    Kind { creates: true, ..kind("POST", "POST", |at| sized(at, "POST /api/v2/users", "", &user(at))) },
    kind("POST of a bad body", "POST", |at| sized(at, "POST /api/v2/users", "", "{\"name\":")),
    kind("POST of a body that is not read", "POST", |at| {
        sized(at, "POST /api/v2/users", "", &user(at)).replace("Bearer", "None")
    }),
    kind("PUT", "PUT", |at| sized(at, "PUT /api/v1/users/2", "", r#"{"name":"Ada","email":"two@example.com"}"#)),
    kind("DELETE", "DELETE", |at| head(at, &format!("DELETE /api/v2/users/{}", at + 100))),
    kind("OPTIONS", "OPTIONS", |at| head(at, "OPTIONS /api/v2/users")),
    kind("HTTP/1.0", "GET", |at| head(at, "GET /api/v2/users/1").replace("HTTP/1.1", "HTTP/1.0")),
    kind("HTTP/1.0 that keeps alive", "GET", |at| {
        with(at, "GET /api/v2/users/1", "Connection: keep-alive\r\n", "").replace("HTTP/1.1", "HTTP/1.0")
    }),
    kind("Connection: close", "GET", |at| with(at, "GET /api/v2/users/1", "Connection: close\r\n", "")),
    Kind { creates: true, ..kind("POST in chunks", "POST", |at| chunked(at, &user(at))) },
    kind("POST in chunks that are not read", "POST", |at| chunked(at, &user(at)).replace("Bearer", "None")),
    Kind {
        creates: true,
        ..kind("Expect: 100-continue", "POST", |at| {
            sized(at, "POST /api/v2/users", "Expect: 100-continue\r\n", &user(at))
        })
    },
    kind("a large answer", "GET", |at| head(at, "GET /openapi.json")),
    kind("HEAD of a large answer", "HEAD", |at| head(at, "HEAD /openapi.json")),
    Kind { streams: true, ..kind("a stream", "GET", |at| head(at, "GET /api/v2/events")) },
];

fn head(at: usize, line: &str) -> String {
    with(at, line, "", "")
}

fn with(at: usize, line: &str, headers: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: pipelined.{at}\r\nAuthorization: Bearer {}\r\n{headers}\r\n{body}",
        *TOKEN
    )
}

fn sized(at: usize, line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    with(at, line, &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n{headers}"), body)
}

/// A request whose body is sent in two chunks.
fn chunked(at: usize, body: &str) -> String {
    let (begin, end) = body.split_at(10);
    let body = format!("a\r\n{begin}\r\n{:x}\r\n{end}\r\n0\r\n\r\n", end.len());
    with(at, "POST /api/v2/users", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", &body)
}

fn user(at: usize) -> String {
    format!(r#"{{"name":"Ada","email":"{}"}}"#, address(at))
}

fn address(at: usize) -> String {
    format!("pipelined.{at}@example.com")
}

impl Kind {
    /// Reads the answer, which must belong to the request with this number.
    fn answer<S: Read + Write>(&self, client: &mut Strict<S>, at: usize) -> Result<Whole, String> {
        let answer = if self.streams { client.beginning_of_answer() } else { client.answer_to(self.method) }?;
        match answer.header("x-request-id") {
            Some(id) if id == format!("pipelined.{at}") => Ok(comparable(answer)),
            _ => Err(format!("not the answer to request {at}: {answer:?}")),
        }
    }
}

/// The part of an answer that is the same for all requests of a kind.
fn comparable(mut answer: Whole) -> Whole {
    answer.headers.retain(|(name, _)| name != "x-request-id");
    answer.headers.sort();
    for (_, value) in &mut answer.headers {
        *value = without_numbers(value);
    }
    answer.body = without_numbers(&answer.body);
    answer
}

/// Replaces the words that contain a digit.
fn without_numbers(text: &str) -> String {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-_.:+".contains(character);
    let words = text.split_inclusive(|character| !is_part(character));
    words
        .map(|word| {
            let end = word.chars().next_back().filter(|end| !is_part(*end)).map(String::from).unwrap_or_default();
            if word.contains(|character: char| character.is_ascii_digit()) {
                format!("#{end}")
            } else {
                word.to_owned()
            }
        })
        .collect()
}

/// How a pair of requests is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    InOneSegment,
    ByteByByte,
}

/// All pairs of kinds, on connections that `connect` opens.
struct Pairs<'a, C> {
    connect: C,
    sent: Sent,
    kinds: Vec<&'a Kind>,
    /// The answer to each kind of request alone.
    alone: Vec<Whole>,
}

impl<'a, S: Read + Write, C: Fn() -> Strict<S> + Sync> Pairs<'a, C> {
    /// Sends each kind alone first. These requests take the numbers below the number of kinds.
    fn new(connect: C, sent: Sent, kinds: Vec<&'a Kind>) -> Self {
        let alone = |(at, kind): (usize, &&Kind)| {
            let mut client = connect();
            client.write(&(kind.text)(at));
            kind.answer(&mut client, at).unwrap_or_else(|error| panic!("{} alone: {error}", kind.name))
        };
        let alone = kinds.iter().enumerate().map(alone).collect();
        Self { connect, sent, kinds, alone }
    }

    /// Tries all pairs, a few at a time, and returns the addresses of the users that the answers say were created.
    fn try_all(&self) -> Vec<String> {
        let (next, count) = (AtomicUsize::new(0), self.kinds.len() * self.kinds.len());
        let results = thread::scope(|scope| {
            let work = || {
                let pairs = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                Vec::from_iter(pairs.take_while(|pair| *pair < count).map(|pair| self.try_one(pair)))
            };
            let workers = Vec::from_iter((0..AT_ONCE).map(|_| scope.spawn(work)));
            Vec::from_iter(
                workers.into_iter().flat_map(|worker| worker.join().expect("a worker ended without a panic")),
            )
        });
        let failures = Vec::from_iter(results.iter().filter_map(|result| result.as_ref().err()).map(String::as_str));
        assert!(failures.is_empty(), "{} of {count} pairs are wrong:\n{}", failures.len(), failures.join("\n"));
        results.into_iter().flat_map(Result::unwrap_or_default).collect()
    }

    fn try_one(&self, pair: usize) -> Result<Vec<String>, String> {
        let count = self.kinds.len();
        let (first, second, at) = (pair / count, pair % count, count + 2 * pair);
        let tried = self.exchange([(first, at), (second, at + 1)]);
        tried.map_err(|error| format!("{}, {}: {error}", self.kinds[first].name, self.kinds[second].name))
    }

    fn exchange(&self, pair: [(usize, usize); 2]) -> Result<Vec<String>, String> {
        let mut client = (self.connect)();
        let text = pair.map(|(kind, at)| (self.kinds[kind].text)(at)).concat();
        match self.sent {
            Sent::InOneSegment => client.write(&text),
            Sent::ByteByByte => client.write_byte_by_byte(&text),
        }
        let mut created = Vec::new();
        for (kind, at) in pair {
            let (kind, alone) = (self.kinds[kind], &self.alone[kind]);
            let answer = kind.answer(&mut client, at)?;
            if answer.status == 201 {
                created.push(address(at));
            }
            let closes = answer.closes();
            same(answer, alone)?;
            if kind.streams {
                return Ok(created);
            }
            if closes {
                // The kernel may reset the connection of a client that still writes when the server closes it.
                let end = client.end();
                return if self.sent == Sent::InOneSegment { end.map(|()| created) } else { Ok(created) };
            }
        }
        client.write("GET /health HTTP/1.0\r\n\r\n");
        let last = client.answer_to("GET")?;
        client.end()?;
        if last.status == 200 { Ok(created) } else { Err(format!("the connection no longer works: {last:?}")) }
    }
}

/// Compares two answers. After 401 the server keeps the connection only if the unread body has arrived in time, so that
/// header may differ.
fn same(mut answer: Whole, alone: &Whole) -> Result<(), String> {
    let mut alone = alone.clone();
    if answer.status == 401 {
        for one in [&mut answer, &mut alone] {
            one.headers.retain(|(name, _)| name != "connection");
        }
    }
    if answer == alone { Ok(()) } else { Err(format!("{answer:?} instead of {alone:?}")) }
}

async fn app(db: Db, vars: &[(&str, &str)]) -> App {
    let database = db.fresh();
    seed(database.program());
    App::on(database, vars).await
}

fn seed(program: Program) {
    program.args(["seed", "--count", &USERS.to_string()]).run().succeeded();
}

/// Exactly the users that the answers confirmed were created.
async fn has_created(server: &Server, mut expected: Vec<String>) {
    expected.extend(KINDS.iter().enumerate().filter(|(_, kind)| kind.creates).map(|(at, _)| address(at)));
    expected.sort();
    let everyone = server.everyone().await;
    let mut created =
        Vec::from_iter(everyone.iter().map(email).filter(|email| email.starts_with("pipelined.")).map(str::to_owned));
    created.sort();
    assert_eq!(created, expected);
}

#[rstest]
#[case::sqlite(Db::Sqlite, Sent::InOneSegment)]
#[case::sqlite_byte_by_byte(Db::Sqlite, Sent::ByteByByte)]
#[case::postgres(Db::Postgres, Sent::InOneSegment)]
#[tokio::test]
async fn no_request_changes_how_another_is_answered(#[case] db: Db, #[case] sent: Sent) {
    let app = app(db, &[]).await;
    let created = Pairs::new(|| Strict::connect(app.address()), sent, KINDS.iter().collect()).try_all();
    has_created(&app, created).await;
}

struct Tls {
    config: Arc<ClientConfig>,
    address: String,
}

impl Tls {
    fn connect(&self) -> Strict<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        Strict::over(StreamOwned::new(connection, tcp(&self.address)))
    }

    fn is_ready(&self) -> bool {
        let mut client = self.connect();
        client.write("GET /ready HTTP/1.0\r\n\r\n");
        client.answer_to("GET").is_ok_and(|answer| answer.status == 200)
    }
}

#[rstest]
#[case::in_one_segment(Sent::InOneSegment)]
#[case::byte_by_byte(Sent::ByteByByte)]
#[tokio::test]
async fn no_request_changes_how_another_is_answered_over_tls(#[case] sent: Sent) {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    authority.sign("127.0.0.1").write(dir.path());
    let program = || Program::new(dir.path()).with_a_key();
    seed(program());
    let server = Server::listening(program().env("TLS_CERT", "cert.pem").env("TLS_KEY", "key.pem"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let tls = Tls { config, address: server.address().to_owned() };
    until("the server is ready", Duration::from_secs(20), async || tls.is_ready()).await;
    let framed = [
        "GET",
        "HEAD",
        "POST",
        "DELETE",
        "HTTP/1.0",
        "Connection: close",
        "POST in chunks",
        "a large answer",
        "a stream",
    ];
    let kinds = Vec::from_iter(KINDS.iter().filter(|kind| framed.contains(&kind.name)));
    assert_eq!(kinds.len(), framed.len());
    Pairs::new(|| tls.connect(), sent, kinds).try_all();
}

/// The server answers the next request when the stream before it has ended.
#[tokio::test]
async fn what_comes_behind_a_stream_is_answered_when_that_has_ended() {
    let app = app(Db::Sqlite, &[("JWT_LEEWAY", "1s"), ("JWT_SECRET", SECRET)]).await;
    let pairs = Pairs::new(|| Strict::connect(app.address()), Sent::InOneSegment, KINDS.iter().collect());
    let mut short = claims("users:read");
    short["exp"] = json!(now() + 3);
    let short = token(&short);
    let first = KINDS.len();
    let send = |(at, kind): (usize, &Kind)| {
        let mut client = Strict::connect(app.address());
        let stream = head(first, "GET /api/v2/events").replace(&*TOKEN, &short);
        client.write(&format!("{stream}{}", (kind.text)(first + 1 + at)));
        client
    };
    let clients = Vec::from_iter(KINDS.iter().enumerate().map(send));
    for (at, mut client) in clients.into_iter().enumerate() {
        let kind = &KINDS[at];
        let stream = client.answer_to("GET").unwrap_or_else(|error| panic!("the stream before {}: {error}", kind.name));
        assert_eq!((stream.version.as_str(), stream.status), ("HTTP/1.1", 200), "before {}", kind.name);
        let answer = kind.answer(&mut client, first + 1 + at).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
        same(answer, &pairs.alone[at]).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
    }
}

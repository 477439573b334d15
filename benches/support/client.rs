//! Cheap clients, so that the bench measures the server: requests are bytes, and of an answer the client reads only the
//! status and the length.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::token::headers;
use super::work::Script;

/// Clients with one request in flight each, on their own keep-alive connections, all on one thread.
pub(super) struct Clients {
    idle: Vec<Client>,
    runtime: Runtime,
    sent: u64,
    busy: Duration,
}

/// The measurements of all runs.
pub(super) struct Seen {
    /// How long the runs took.
    pub(super) busy: Duration,
    /// How long each request took.
    pub(super) latencies: Vec<Duration>,
}

impl Clients {
    pub(super) fn connect(address: SocketAddr, scripts: Vec<Script>) -> Self {
        let runtime = runtime();
        let connect = |script| Client {
            connection: runtime.block_on(Connection::open(address)).expect("a connection"),
            script,
            latencies: Vec::new(),
        };
        Self { idle: scripts.into_iter().map(connect).collect(), runtime, sent: 0, busy: Duration::ZERO }
    }

    /// Sends this many requests, each with another number, and returns how long it took until all were answered.
    pub(super) fn run(&mut self, requests: u64) -> Duration {
        let end = self.sent + requests;
        let next = Arc::new(AtomicU64::new(self.sent));
        let start = Instant::now();
        let clients = self.idle.drain(..);
        self.idle = self.runtime.block_on(async {
            let tasks = clients.map(|client| tokio::spawn(client.work(Arc::clone(&next), end)));
            let done = try_join_all(tasks).await;
            done.expect("every request gets the expected answer")
        });
        let busy = start.elapsed();
        self.sent = end;
        self.busy += busy;
        busy
    }

    pub(super) fn seen(self) -> Seen {
        let latencies = self.idle.into_iter().flat_map(|client| client.latencies).collect();
        Seen { busy: self.busy, latencies }
    }
}

struct Client {
    connection: Connection,
    script: Script,
    latencies: Vec<Duration>,
}

impl Client {
    async fn work(mut self, next: Arc<AtomicU64>, end: u64) -> Self {
        let mut request = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return self;
            }
            request.clear();
            let expected = (self.script)(number, &mut request);
            let start = Instant::now();
            let head = self.connection.ask(&request).await.expect("an answer");
            self.latencies.push(start.elapsed());
            assert_eq!(head.status, expected, "{}", String::from_utf8_lossy(&self.connection.answer));
        }
    }
}

/// An answer with its body.
pub(crate) struct Answer {
    pub(super) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The answer to a GET, or an error if the server does not answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let headers = headers();
    let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\n");
    runtime().block_on(async {
        let mut connection = Connection::open(address).await?;
        let head = connection.ask(request.as_bytes()).await?;
        Ok(Answer { status: head.status, body: connection.answer.split_off(head.length) })
    })
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().build().expect("a runtime")
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4096) })
    }

    /// Sends a request, and returns when the whole answer has arrived.
    async fn ask(&mut self, request: &[u8]) -> io::Result<Head> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(head) = head_of_whole(&self.answer) {
                return Ok(head);
            }
        }
    }
}

/// The status and the length of an answer's head.
struct Head {
    status: u16,
    length: usize,
}

/// The head of an answer, once the whole answer has arrived.
fn head_of_whole(answer: &[u8]) -> Option<Head> {
    const END: &[u8] = b"\r\n\r\n";
    let end = answer.windows(END.len()).position(|window| window == END)?;
    let text = std::str::from_utf8(answer.get(..end)?).expect("a head in ASCII");
    let length = end + END.len();
    if answer.len() < length + text.lines().find_map(content_length).expect("Content-Length") {
        return None;
    }
    let status = text.get("HTTP/1.1 ".len()..).and_then(|rest| rest.get(..3));
    Some(Head { status: status.and_then(|digits| digits.parse().ok()).expect("a status"), length })
}

fn content_length(line: &str) -> Option<usize> {
    let (name, value) = line.split_once(':')?;
    let is_length = name.eq_ignore_ascii_case("content-length");
    is_length.then(|| value.trim().parse().expect("a number"))
}

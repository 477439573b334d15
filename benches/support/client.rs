//! Clients that cost so little that it is the server that is measured: requests are bytes, and of an answer only the
//! status and the length are looked at.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::work::Work;

/// Keep-alive connections, each with one request under way at a time, all on the thread that runs them.
pub(super) struct Clients {
    connections: Vec<Connection>,
    runtime: Runtime,
    sent: u64,
}

impl Clients {
    pub(super) fn connect(address: SocketAddr, count: usize) -> Self {
        let runtime = runtime();
        let open = || runtime.block_on(Connection::open(address)).expect("a connection");
        Self { connections: Vec::from_iter(std::iter::repeat_with(open).take(count)), runtime, sent: 0 }
    }

    /// Sends that many requests, no number twice, and returns how long it took until all of them were answered.
    pub(super) fn run(&mut self, requests: u64, work: &Work) -> Duration {
        let end = self.sent + requests;
        let next = Arc::new(AtomicU64::new(self.sent));
        let start = Instant::now();
        let connections = self.connections.drain(..);
        self.connections = self.runtime.block_on(async {
            let tasks = connections.map(|connection| tokio::spawn(connection.work(Arc::clone(&next), end, *work)));
            let done = try_join_all(tasks).await;
            done.expect("every request is answered as it should be")
        });
        self.sent = end;
        start.elapsed()
    }
}

/// The status of the answer to a GET; an error when nobody answers.
pub(super) fn get(address: SocketAddr, path: &str) -> io::Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    runtime().block_on(async { Connection::open(address).await?.ask(request.as_bytes()).await })
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

    async fn work(mut self, next: Arc<AtomicU64>, end: u64, work: Work) -> Self {
        let mut request = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return self;
            }
            request.clear();
            (work.request)(number, &mut request);
            let answered = self.ask(&request).await.expect("an answer");
            assert_eq!(answered, work.status, "{}", String::from_utf8_lossy(&self.answer));
        }
    }

    async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(status) = status_of_whole(&self.answer) {
                return Ok(status);
            }
        }
    }
}

/// The status of an answer, once all of it is there.
fn status_of_whole(answer: &[u8]) -> Option<u16> {
    const END: &[u8] = b"\r\n\r\n";
    let head = answer.windows(END.len()).position(|window| window == END)?;
    let text = std::str::from_utf8(answer.get(..head)?).expect("a head in ASCII");
    let length = text.lines().find_map(content_length).expect("Content-Length");
    if answer.len() < head + END.len() + length {
        return None;
    }
    let status = text.get("HTTP/1.1 ".len()..).and_then(|rest| rest.get(..3));
    Some(status.and_then(|digits| digits.parse().ok()).expect("a status"))
}

fn content_length(line: &str) -> Option<usize> {
    let (name, value) = line.split_once(':')?;
    let is_length = name.eq_ignore_ascii_case("content-length");
    is_length.then(|| value.trim().parse().expect("a number"))
}

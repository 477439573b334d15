//! One connection: how it begins, how long it may last, and how it ends.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::codegen::http::Request;

use super::Settings;
use super::observe::Calls;
use super::stuck;

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take to show that it is still there.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to notice that its connection ends.
const GOODBYE: Duration = Duration::from_secs(1);
/// How much a client may send before it is read, in bytes: of one call, and of all calls of a connection.
const WINDOWS: (u32, u32) = (64 << 10, 256 << 10);
/// How much of an answer waits for the client, in bytes.
const SEND_BUFFER: usize = 64 << 10;

/// Waits for a connection to begin. A client that says nothing holds a place among all connections, so this is to be bounded.
pub(super) async fn begin<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<Begun<S>> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    if preface == PREFACE { Ok(Begun { unread: PREFACE, stream }) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Serves a connection until its client is done, it is too old or idle, or the service shuts down.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    begun: Begun<S>,
    settings: &Settings,
    calls: Calls,
    peer: Option<IpAddr>,
    shutdown: impl Future<Output = ()>,
) {
    let busy = Rc::new(Busy::default());
    let end = Instant::now() + some_less(settings.max_connection_age);
    let answer = |request: Request<Incoming>| {
        let (calls, call) = (calls.clone(), busy.begin());
        async move {
            let response = match call {
                Some(call) => calls.answer(request, peer, end.into()).await.map(|body| body.holding(call)),
                None => Calls::turn_away(),
            };
            Ok::<_, Infallible>(response)
        }
    };
    let connection = builder(settings).serve_connection(TokioIo::new(begun), service_fn(answer));
    let mut connection = pin!(connection);
    // What went wrong, its client did: it hung up, or broke the protocol.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown => {}
        () = sleep_until(end) => {}
        () = busy.has_been_idle_for(settings.keep_alive) => {}
    }
    connection.as_mut().graceful_shutdown();
    // What has no end is not waited for, nor is a client that does not say goodbye.
    tokio::select! {
        _ = connection => {}
        () = busy.over() => {}
    }
}

fn builder(settings: &Settings) -> Builder<OnThisThread> {
    let mut builder = Builder::new(OnThisThread { patience: settings.response_timeout });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(settings.max_head_bytes)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(settings.ping_interval)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Up to a tenth less, so that connections which began together do not all end together.
fn some_less(age: Duration) -> Duration {
    let chance = getrandom::u32().unwrap_or_default();
    age.mul_f64(1.0 - 0.1 * f64::from(chance) / f64::from(u32::MAX))
}

/// Has calls run on the thread of their connection, which is that of their callers' wake-ups too.
#[derive(Clone, Copy)]
struct OnThisThread {
    /// With clients that make no room for their answers.
    patience: Duration,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, call: F) {
        spawn_local(stuck::Call::new(call, self.patience));
    }
}

/// The calls of a connection that are not over yet, their answers not sent.
struct Busy {
    calls: Cell<usize>,
    /// How many of them stream.
    streams: Cell<usize>,
    /// Since when there are none.
    idle_since: Cell<Instant>,
    changes: Notify,
    /// Whether no more of them are taken.
    is_closed: Cell<bool>,
}

impl Default for Busy {
    fn default() -> Self {
        Self {
            calls: Cell::default(),
            streams: Cell::default(),
            idle_since: Cell::new(Instant::now()),
            changes: Notify::new(),
            is_closed: Cell::default(),
        }
    }
}

impl Busy {
    /// None when no more are taken.
    fn begin(self: &Rc<Self>) -> Option<CallUnderWay> {
        if self.is_closed.get() {
            return None;
        }
        self.calls.set(self.calls.get() + 1);
        Some(CallUnderWay { busy: Rc::clone(self), streams: false })
    }

    /// Waits until there has been none for so long.
    async fn has_been_idle_for(&self, time: Duration) {
        loop {
            let changes = self.changes.notified();
            if self.calls.get() > 0 {
                changes.await;
                continue;
            }
            let due = self.idle_since.get() + time;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// Waits until all are over that do not stream; takes no more of them, after clients had time to notice.
    async fn over(&self) {
        sleep(GOODBYE).await;
        self.is_closed.set(true);
        loop {
            let changes = self.changes.notified();
            if self.calls.get() <= self.streams.get() {
                break;
            }
            changes.await;
        }
        // For what is yet to be written.
        sleep(GOODBYE).await;
    }
}

/// A call that is not over until this is dropped.
pub(super) struct CallUnderWay {
    busy: Rc<Busy>,
    streams: bool,
}

impl CallUnderWay {
    /// Its answer may have no end.
    pub(super) fn streams(&mut self) {
        self.streams = true;
        self.busy.streams.set(self.busy.streams.get() + 1);
        self.busy.changes.notify_waiters();
    }
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        let Self { busy, streams } = self;
        busy.calls.set(busy.calls.get().saturating_sub(1));
        if *streams {
            busy.streams.set(busy.streams.get().saturating_sub(1));
        }
        if busy.calls.get() == 0 {
            busy.idle_since.set(Instant::now());
        }
        busy.changes.notify_waiters();
    }
}

/// A connection that has begun, and reads as if it had not.
pub(super) struct Begun<S> {
    unread: &'static [u8],
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let (now, later) = self.unread.split_at(self.unread.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.unread = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

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
use tokio::time::sleep;
use tonic::codegen::http::Request;

use super::Settings;
use super::observe::Calls;

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take to show that it is still there.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection without calls may take to end.
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

/// Serves a connection until its client is done, it is too old, or the service shuts down.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    begun: Begun<S>,
    settings: &Settings,
    calls: Calls,
    peer: Option<IpAddr>,
    shutdown: impl Future<Output = ()>,
) {
    let busy = Rc::new(Busy::default());
    let answer = |request: Request<Incoming>| {
        let (calls, call) = (calls.clone(), busy.begin());
        async move {
            let response = calls.answer(request, peer).await;
            drop(call);
            Ok::<_, Infallible>(response)
        }
    };
    let connection = builder(settings).serve_connection(TokioIo::new(begun), service_fn(answer));
    let (mut connection, mut shutdown) = (pin!(connection), pin!(shutdown));
    // What went wrong, its client did: it hung up, or broke the protocol.
    let ends = tokio::select! {
        _ = connection.as_mut() => return,
        () = &mut shutdown => true,
        () = sleep(some_less(settings.max_connection_age)) => false,
    };
    connection.as_mut().graceful_shutdown();
    if !ends {
        // No stream lasts longer than this.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = &mut shutdown => {}
            () = sleep(settings.max_connection_age) => {}
        }
    }
    // What has no end is not waited for, nor is a client that does not say goodbye.
    tokio::select! {
        _ = connection => {}
        () = busy.over() => {}
    }
}

fn builder(settings: &Settings) -> Builder<OnThisThread> {
    let mut builder = Builder::new(OnThisThread);
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
struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// How many calls of a connection are not answered yet.
#[derive(Default)]
struct Busy {
    calls: Cell<usize>,
    idle: Notify,
}

impl Busy {
    fn begin(self: &Rc<Self>) -> CallUnderWay {
        self.calls.set(self.calls.get() + 1);
        CallUnderWay(Rc::clone(self))
    }

    /// Waits until all are answered, and their answers had time to be sent.
    async fn over(&self) {
        loop {
            let idle = self.idle.notified();
            if self.calls.get() == 0 {
                sleep(GOODBYE).await;
                if self.calls.get() == 0 {
                    return;
                }
            } else {
                idle.await;
            }
        }
    }
}

struct CallUnderWay(Rc<Busy>);

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        let Self(busy) = self;
        busy.calls.set(busy.calls.get().saturating_sub(1));
        busy.idle.notify_waiters();
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

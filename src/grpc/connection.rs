//! Serves one connection: its handshake, its lifetime, and its graceful shutdown.
//!
//! A connection has `HEAD_TIMEOUT` to begin, TLS included. After that, HTTP/2 pings detect dead clients. It may reach
//! the age `GRPC_MAX_CONNECTION_AGE`, less a random part of up to a tenth, and be idle for `KEEP_ALIVE`. Then, and at
//! shutdown, its client is told. A second later the connection accepts no more calls, and calls in flight are answered.
//! Streams are not waited for: they may have no end.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};
use tonic::codegen::http::Request;

use super::calls::Calls;
use super::limits::{PacedStream, StallTimeout};
use super::settings::Settings;

/// The client's connection preface (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The flow-control windows for received data, in bytes: what clients may send before it is read.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
/// How much of a response is buffered, in bytes, in addition to the kernel's buffer for the connection and the next
/// chunk.
const SEND_BUFFER: usize = 16 << 10;

/// Reads the preface. The caller must set a timeout, because a silent client occupies one of the connections.
pub(super) async fn handshake<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<S> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    if preface == PREFACE { Ok(stream) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Serves a connection after its handshake: until the client closes it, it is too old or idle, an unauthenticated
/// client exceeds its limit, or the service shuts down.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: &Settings,
    calls: Calls,
    peer: Option<IpAddr>,
    shutdown: impl Future<Output = ()>,
) {
    let in_flight = calls.new_connection();
    let end = Instant::now() + with_jitter(settings.max_connection_age);
    let handle = |request: Request<Incoming>| {
        let (calls, call) = (calls.clone(), in_flight.begin());
        let request = if in_flight.is_authenticated() { request } else { calls.strip_headers(request) };
        // Boxed, so that its memory is freed when the response begins. A stream's body may live long.
        Box::pin(async move {
            let response = match call {
                Some(call) => {
                    let caller = calls.caller(peer, end.into(), call);
                    calls.handle(request, caller).await
                }
                None => Calls::reject(),
            };
            Ok::<_, Infallible>(response)
        })
    };
    let stream = PacedStream::new(PREFACE, stream, Rc::clone(&in_flight), settings.max_head_bytes);
    let connection = builder(settings).serve_connection(TokioIo::new(stream), service_fn(handle));
    let mut connection = pin!(connection);
    // Errors are the client's: it disconnected or violated the protocol.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown => {}
        () = sleep_until(end) => {}
        () = in_flight.exceed_unauthenticated_limit() => {}
        () = in_flight.idle_for(settings.keep_alive) => {}
    }
    connection.as_mut().graceful_shutdown();
    // Does not wait for streams, nor for a client that keeps the connection open.
    tokio::select! {
        _ = connection => {}
        () = in_flight.close() => {}
    }
}

fn builder(settings: &Settings) -> Builder<OnThisThread> {
    let mut builder = Builder::new(OnThisThread { stall_timeout: settings.response_timeout });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(settings.max_head_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(settings.ping_interval)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Subtracts up to a tenth, so that connections that began together do not end together.
fn with_jitter(age: Duration) -> Duration {
    age.mul_f64(1.0 - 0.1 * fastrand::f64())
}

/// Runs calls on the thread of their connection, so that both share wake-ups.
#[derive(Clone, Copy)]
struct OnThisThread {
    stall_timeout: Duration,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, call: F) {
        spawn_local(StallTimeout::new(call, self.stall_timeout));
    }
}

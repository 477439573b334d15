//! One connection: how it begins, how long it may last, and how it ends.

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

use super::Settings;
use super::observe::Calls;
use super::pacing::Paced;
use super::stuck;

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take to show that it is still there.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How much a client may send before it is read, in bytes: of one call, and of all calls of a connection.
const WINDOWS: (u32, u32) = (64 << 10, 256 << 10);
/// How much of an answer waits for the client, in bytes, besides what the kernel holds for the connection and the chunk that is
/// sent next.
const SEND_BUFFER: usize = 16 << 10;

/// Waits for a connection to begin. A client that says nothing holds a place among all connections, so this is to be bounded.
pub(super) async fn begin<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<S> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    if preface == PREFACE { Ok(stream) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Serves a connection that has begun until its client is done, it is too old or idle, it says much without a token, or
/// the service shuts down.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: &Settings,
    calls: Calls,
    peer: Option<IpAddr>,
    shutdown: impl Future<Output = ()>,
) {
    let under_way = calls.of_connection();
    let end = Instant::now() + some_less(settings.max_connection_age);
    let answer = |request: Request<Incoming>| {
        let (calls, call) = (calls.clone(), under_way.begin());
        let request = if under_way.is_known() { request } else { calls.lighten(request) };
        // In a box, which goes when there is an answer: streams last.
        Box::pin(async move {
            let response = match call {
                Some(call) => {
                    let caller = calls.caller(peer, end.into(), call);
                    calls.answer(request, caller).await
                }
                None => Calls::turn_away(),
            };
            Ok::<_, Infallible>(response)
        })
    };
    let stream = Paced::new(PREFACE, stream, Rc::clone(&under_way), settings.max_head_bytes);
    let connection = builder(settings).serve_connection(TokioIo::new(stream), service_fn(answer));
    let mut connection = pin!(connection);
    // What went wrong, its client did: it hung up, or broke the protocol.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown => {}
        () = sleep_until(end) => {}
        () = under_way.have_been_enough() => {}
        () = under_way.have_been_none_for(settings.keep_alive) => {}
    }
    connection.as_mut().graceful_shutdown();
    // What has no end is not waited for, nor is a client that does not say goodbye.
    tokio::select! {
        _ = connection => {}
        () = under_way.over() => {}
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
    age.mul_f64(1.0 - 0.1 * fastrand::f64())
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

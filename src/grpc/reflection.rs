//! Limits reflection, which needs no token and whose streams have no end. `tonic-reflection` has a codec of its own,
//! and a task for each stream. So there are at most 32 streams at a time, and a stream ends when its client has been
//! silent for `HEAD_TIMEOUT`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::codegen::{BoxFuture, Service as HttpService, http::Request};

use super::failure::Failure;
use super::handler::Handler;

/// The most concurrent streams. Each takes up to 100 KiB if its client sends requests without reading. A developer
/// needs one.
const MAX_STREAMS: usize = 32;

/// The limits of all versions of reflection together.
pub(super) struct Reflection {
    streams: Arc<Semaphore>,
    /// How long a stream may be silent.
    idle_timeout: Duration,
}

impl Reflection {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        Self { streams: Arc::new(Semaphore::new(MAX_STREAMS)), idle_timeout }
    }

    /// Wraps a reflection service in the limits.
    pub(super) fn handler<S>(&self, service: S) -> Handler
    where
        S: HttpService<
                Request<LimitedBody>,
                Response = Response<Body>,
                Error = std::convert::Infallible,
                Future = BoxFuture<Response<Body>, std::convert::Infallible>,
            > + Clone
            + Send
            + Sync
            + 'static,
    {
        let (streams, idle_timeout) = (Arc::clone(&self.streams), self.idle_timeout);
        Arc::new(move |request| {
            if let Ok(permit) = Arc::clone(&streams).try_acquire_owned() {
                service.clone().call(request.map(|messages| LimitedBody::new(messages, idle_timeout, permit)))
            } else {
                let refusal = Status::from(Failure::TooManyCalls).into_http();
                Box::pin(async { Ok(refusal) })
            }
        })
    }
}

/// The client's messages, which end when the client is silent for too long. `tonic-reflection` reads them in a separate
/// task and keeps the stream's memory until they end, even after the response has ended. So this holds the permit until
/// then.
pub(super) struct LimitedBody {
    messages: Incoming,
    idle_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl LimitedBody {
    fn new(messages: Incoming, idle_timeout: Duration, permit: OwnedSemaphorePermit) -> Self {
        Self { messages, idle_timeout, timer: Box::pin(sleep(idle_timeout)), _permit: permit }
    }
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.messages).poll_frame(cx);
        if polled.is_ready() {
            let until = Instant::now() + self.idle_timeout;
            self.timer.as_mut().reset(until);
            return polled;
        }
        self.timer.as_mut().poll(cx).map(|()| None)
    }
}

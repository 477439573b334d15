//! Reflection: what tools learn of the service. It is open to strangers, and a stream of questions has no end.

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
use tonic::codegen::{BoxFuture, Service as Answers, http::Request};

use super::failure::Failure;
use super::services::Answer;

/// How many streams there may be at once. Each takes 100 KiB, if its client asks without listening; who develops takes one.
const STREAMS: usize = 32;

/// Bounds reflection, in all its versions together.
pub(super) struct Reflection {
    streams: Arc<Semaphore>,
    /// How long a client may take to ask for more.
    silence: Duration,
}

impl Reflection {
    pub(super) fn new(silence: Duration) -> Self {
        Self { streams: Arc::new(Semaphore::new(STREAMS)), silence }
    }

    /// Answers by this service, within the bounds.
    pub(super) fn by<S>(&self, service: S) -> Answer
    where
        S: Answers<
                Request<Questions>,
                Response = Response<Body>,
                Error = std::convert::Infallible,
                Future = BoxFuture<Response<Body>, std::convert::Infallible>,
            > + Clone
            + Send
            + Sync
            + 'static,
    {
        let (streams, silence) = (Arc::clone(&self.streams), self.silence);
        Arc::new(move |request| {
            if let Ok(permit) = Arc::clone(&streams).try_acquire_owned() {
                service.clone().call(request.map(|messages| Questions::new(messages, silence, permit)))
            } else {
                let refusal = Status::from(Failure::TooManyCalls).into_http();
                Box::pin(async { Ok(refusal) })
            }
        })
    }
}

/// The messages of a client, which end when it falls silent. `tonic-reflection` reads them in a task of its own, and holds what a
/// stream costs until they end, even after its answer has ended; so does this hold the permit.
pub(super) struct Questions {
    messages: Incoming,
    silence: Duration,
    alarm: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Questions {
    fn new(messages: Incoming, silence: Duration, permit: OwnedSemaphorePermit) -> Self {
        Self { messages, silence, alarm: Box::pin(sleep(silence)), _permit: permit }
    }
}

impl HttpBody for Questions {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.messages).poll_frame(cx);
        if polled.is_ready() {
            let until = Instant::now() + self.silence;
            self.alarm.as_mut().reset(until);
            return polled;
        }
        self.alarm.as_mut().poll(cx).map(|()| None)
    }
}

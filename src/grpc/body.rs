use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::completion::Completion;
use super::limits::{InFlightCall, Stall};

/// The body of a response.
pub(super) struct CallBody {
    body: Body,
    /// Completes the call with the status in the trailers, or as cancelled if the body is dropped. `None` once it is
    /// completed.
    completion: Option<Completion>,
    stall: Stall,
    /// Keeps the call in flight until the body has been sent.
    _call: Option<InFlightCall>,
}

impl CallBody {
    /// The body of a call that is already completed.
    pub(super) fn whole(body: Body) -> Self {
        Self { body, completion: None, stall: Stall::current(), _call: None }
    }

    /// The body of a stream, which ends with its status in the trailers.
    pub(super) fn stream(body: Body, completion: Completion) -> Self {
        Self { body, completion: Some(completion), stall: Stall::current(), _call: None }
    }

    /// Keeps this call in flight for as long as the body exists.
    pub(super) fn holding(self, mut call: InFlightCall) -> Self {
        if self.completion.is_some() {
            call.streams();
        }
        Self { _call: Some(call), ..self }
    }
}

impl HttpBody for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.stall.set(polled.is_ready());
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
            && let Some(completion) = self.completion.take()
        {
            completion.complete(&Status::from_header_map(trailers).unwrap_or_else(|| Status::unknown("")));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

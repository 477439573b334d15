use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::ending::Ending;
use super::stuck::Waiting;
use super::under_way::CallUnderWay;

/// The messages of an answer.
pub(super) struct CallBody {
    body: Body,
    /// Tells how it ended, or as cancelled when nobody wants the rest. None for what has been told of.
    ending: Option<Ending>,
    waiting: Waiting,
    /// The call is under way for as long as there is the body.
    _call: Option<CallUnderWay>,
}

impl CallBody {
    /// One whose end is known.
    pub(super) fn whole(body: Body) -> Self {
        Self { body, ending: None, waiting: Waiting::of_this_call(), _call: None }
    }

    /// One that says in its trailers how it ended.
    pub(super) fn stream(body: Body, ending: Ending) -> Self {
        Self { body, ending: Some(ending), waiting: Waiting::of_this_call(), _call: None }
    }

    /// One that this call is for.
    pub(super) fn holding(self, mut call: CallUnderWay) -> Self {
        if self.ending.is_some() {
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
        self.waiting.for_client(polled.is_ready());
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
            && let Some(ending) = self.ending.take()
        {
            ending.end(&Status::from_header_map(trailers).unwrap_or_else(|| Status::unknown("")));
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

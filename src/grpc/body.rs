use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

/// The messages of an answer.
pub(super) struct CallBody {
    body: Body,
    ending: Option<Ending>,
}

/// What is to be done when an answer has ended: with what it ended, or as cancelled when nobody wants the rest.
pub(super) struct Ending(Option<Box<dyn FnOnce(Code)>>);

impl Ending {
    pub(super) fn new(end: impl FnOnce(Code) + 'static) -> Self {
        Self(Some(Box::new(end)))
    }

    fn end(&mut self, code: Code) {
        if let Some(end) = self.0.take() {
            end(code);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

impl CallBody {
    /// One whose end is known.
    pub(super) const fn whole(body: Body) -> Self {
        Self { body, ending: None }
    }

    /// One that says in its trailers how it ended.
    pub(super) const fn stream(body: Body, ending: Ending) -> Self {
        Self { body, ending: Some(ending) }
    }
}

impl HttpBody for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let (Some(ending), Poll::Ready(Some(Ok(frame)))) = (&mut self.ending, &polled)
            && let Some(trailers) = frame.trailers_ref()
        {
            ending.end(Status::from_header_map(trailers).map_or(Code::Unknown, |status| status.code()));
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

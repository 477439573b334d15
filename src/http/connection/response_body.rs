//! Response bodies, in chunks that fit into a connection's write buffer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use super::phase::Handling;

/// The most bytes of a body that the connection buffers at once, besides the head. A client that reads slowly can make
/// it twice as much.
///
/// actix copies each chunk into a buffer of the connection, which grows to the largest chunk and never shrinks. The
/// buffer starts with 8 KiB, which this fits into.
pub(super) const CHUNK: usize = 7 << 10;

/// The body of a response. A body of known length leaves in chunks of at most [`CHUNK`] bytes. A stream's chunks stay
/// as they are: each goes over the wire as one.
pub(super) struct ResponseBody {
    body: BoxBody,
    max_chunk: usize,
    /// What is left of the last chunk that `body` produced.
    rest: Bytes,
    _until_the_end: Option<Handling>,
}

impl ResponseBody {
    pub(super) fn new(body: BoxBody, handling: Option<Handling>) -> Self {
        let max_chunk = if matches!(body.size(), BodySize::Stream) { usize::MAX } else { CHUNK };
        Self { body, max_chunk, rest: Bytes::new(), _until_the_end: handling }
    }
}

impl MessageBody for ResponseBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(bytes)) => self.rest = bytes,
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(self.max_chunk);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::{BodyStream, SizedStream};
    use futures_util::stream;
    use tokio::time::Instant;

    use super::*;
    use crate::http::connection::phase::{CurrentPhase, Phase};

    fn bytes(length: usize) -> Bytes {
        (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    fn chunks(body: impl MessageBody + 'static) -> Vec<Bytes> {
        let mut body = ResponseBody::new(BoxBody::new(body), None);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let next = || match Pin::new(&mut body).poll_next(&mut context) {
            Poll::Ready(next) => next.map(Result::unwrap),
            Poll::Pending => panic!("all of it is there"),
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn chunks_fit_and_make_up_the_whole() {
        for length in [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let whole = bytes(length);
            let in_two =
                [whole.slice(..length / 2), whole.slice(length / 2..)].into_iter().filter(|part| !part.is_empty());
            let in_two = stream::iter(Vec::from_iter(in_two.map(Ok::<_, std::convert::Infallible>)));
            for chunks in [chunks(whole.clone()), chunks(SizedStream::new(length as u64, in_two))] {
                assert!(chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())));
                assert_eq!(chunks.concat(), whole);
            }
        }
    }

    #[test]
    fn the_chunks_of_a_stream_stay_whole() {
        let whole = bytes(3 * CHUNK);
        let once = BodyStream::new(stream::iter([Ok::<_, std::convert::Infallible>(whole.clone())]));
        assert_eq!(chunks(once), [whole]);
    }

    #[test]
    fn the_handling_phase_lasts_as_long_as_the_body() {
        let phase = CurrentPhase::new(Phase::Idle(Instant::now()));
        let body = ResponseBody::new(BoxBody::new(()), Some(phase.handle()));
        assert!(matches!(phase.get(), Phase::Handling));
        drop(body);
        assert!(matches!(phase.get(), Phase::Flushing(_)));
    }

    #[test]
    fn a_body_keeps_its_size() {
        let size = |body| ResponseBody::new(body, None).size();
        assert_eq!(size(BoxBody::new(())), BodySize::Sized(0));
        assert_eq!(size(BoxBody::new(bytes(9))), BodySize::Sized(9));
        assert_eq!(size(BoxBody::new(actix_web::body::None::new())), BodySize::None);
    }
}

//! Large answers, a piece at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;

use super::timed::{Streaming, Turns};

/// How much of an answer its connection takes at once, in bytes, besides the head; of a client that is slow to listen, up to
/// twice as much.
///
/// actix copies what it sends into a buffer of the connection. That would come to hold all of an answer, and stays as large as
/// it ever was for as long as the connection lives. It begins with 8 KiB, which this fits into.
pub(super) const PIECE: usize = 7 << 10;

/// An answer whose body, if it is large, goes to the connection in pieces.
pub(super) fn in_pieces(response: ServiceResponse<BoxBody>, turns: Option<&Turns>) -> ServiceResponse<BoxBody> {
    let size = response.response().body().size();
    if !matches!(size, BodySize::Sized(size) if size > PIECE as u64) {
        return response;
    }
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(rest) => BoxBody::new(Pieces { rest, _streaming: turns.map(Turns::stream) }),
        Err(body) => body,
    })
}

struct Pieces {
    rest: Bytes,
    _streaming: Option<Streaming>,
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.rest.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(self.rest.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_and_none_is_empty() {
        for length in [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let whole = Bytes::from_iter((0..length).map(|at| u8::try_from(at % 251).unwrap()));
            let mut body = Box::pin(Pieces { rest: whole.clone(), _streaming: None });
            assert_eq!(body.size(), BodySize::Sized(length as u64));
            let mut context = Context::from_waker(std::task::Waker::noop());
            let mut pieces = Vec::new();
            while let Poll::Ready(Some(Ok(piece))) = body.as_mut().poll_next(&mut context) {
                pieces.push(piece);
            }
            assert!(pieces.iter().all(|piece| (1..=PIECE).contains(&piece.len())));
            assert_eq!(pieces.concat(), whole);
        }
    }
}

//! Large answers, a piece at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;

use super::timed::{Streaming, Turns};

/// How much of an answer its connection holds, in bytes, besides the head.
///
/// actix copies what it sends into a buffer of the connection, which grows to what it has to hold, and stays so as long as
/// the connection lives. It begins with 8 KiB, so with this much it need not grow.
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

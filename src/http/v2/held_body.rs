use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use crate::storage::BatchSlot;

/// A body that keeps the slot of its batch until it was sent: until then it takes room in memory.
struct HeldBody {
    body: BoxBody,
    _slot: BatchSlot,
}

/// Keeps the slot of a batch until its answer was sent.
pub(super) fn holding(response: HttpResponse, slot: BatchSlot) -> HttpResponse {
    response.map_body(|_, body| BoxBody::new(HeldBody { body, _slot: slot }))
}

impl MessageBody for HeldBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

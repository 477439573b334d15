use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::caller::caller;
use crate::domain;
use crate::http::problem::Failure;
use crate::storage::{BatchSlot, Storage};

/// The caller of a batch, with the slot that the batch takes. It stands before the body: without a slot nothing of that
/// is read.
pub(crate) struct BatchCaller {
    /// Identifies the caller at every replica.
    pub(super) id: [u8; 32],
    pub(super) slot: BatchSlot,
}

impl FromRequest for BatchCaller {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request))
    }
}

fn admit(request: &HttpRequest) -> Result<BatchCaller, Failure> {
    let (id, _) = caller(request)?;
    let storage = request.app_data::<web::Data<Storage>>().ok_or(domain::Error::Internal)?;
    Ok(BatchCaller { id, slot: storage.batch_slot(&id)? })
}

//! The id in a path.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::failure::Failure;
use crate::domain::UserId;

/// The `{id}` of a path.
pub(super) struct PathId(pub(super) UserId);

impl FromRequest for PathId {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = UserId::parse(request.match_info().get("id").unwrap_or_default());
        ready(id.map(Self).map_err(Failure::from))
    }
}

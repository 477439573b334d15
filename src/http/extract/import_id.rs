use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::domain::ImportId;
use crate::http::problem::Failure;

/// The `{id}` of an import in the path.
pub(crate) struct PathImportId(pub(crate) ImportId);

impl FromRequest for PathImportId {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = ImportId::parse(request.match_info().get("id").unwrap_or_default());
        ready(id.map(Self).map_err(Failure::from))
    }
}

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserializer;
use url::form_urlencoded;

use super::query::parse_text;
use crate::domain::FieldMask;
use crate::http::problem::Failure;

/// The fields that the answer is to have, if the query names any.
///
/// Not a [`Query`](super::Query): the routes that have this one have always passed over other parameters.
pub(crate) struct Fields(pub(crate) Option<FieldMask>);

impl FromRequest for Fields {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parameters = form_urlencoded::parse(request.query_string().as_bytes());
        let mut values = parameters.filter(|(name, _)| name == NAME).map(|(_, value)| value);
        let invalid =
            |detail: &'static str| Failure::InvalidQuery { parameter: NAME.to_owned(), detail: detail.into() };
        ready(match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(names), None) => parse(&names).map(|mask| Self(Some(mask))).map_err(invalid),
            (Some(_), Some(_)) => Err(invalid("is repeated")),
        })
    }
}

const NAME: &str = "fields";

/// Deserializes the fields of a query.
pub(crate) fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FieldMask>, D::Error> {
    parse_text(deserializer, parse).map(Some)
}

fn parse(names: &str) -> Result<FieldMask, &'static str> {
    FieldMask::parse(names.split(','))
}

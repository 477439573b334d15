use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::query::{Query, parse_text};
use crate::domain::FieldMask;
use crate::http::problem::Failure;

/// The fields that the answer is to have, if the query says so.
pub(crate) struct Fields(pub(crate) Option<FieldMask>);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FieldsQuery {
    /// Only these fields of a user, separated by commas; `attributes.NAME` is one of the attributes. By default all.
    #[serde(default, deserialize_with = "fields")]
    #[param(value_type = Option<String>, nullable = false, example = "id,name,attributes.department")]
    fields: Option<FieldMask>,
}

/// Parses a list of fields.
pub(crate) fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FieldMask>, D::Error> {
    parse_text(deserializer, |text| FieldMask::parse(text.split(','))).map(Some)
}

impl FromRequest for Fields {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // These routes have always passed over queries. So only one that may name fields has to be right.
        if !request.query_string().contains("fields") {
            return ready(Ok(Self(None)));
        }
        let query = Query::<FieldsQuery>::from_request(request, payload).into_inner();
        ready(query.map(|query| Self(query.0.fields)))
    }
}

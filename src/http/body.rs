//! Bodies: a user's fields as JSON, read within bounds of size and time.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::failure::Failure;
use super::timed::Turns;
use crate::domain::{self, Email, FieldError, UserName};

/// The bounds of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    pub max_bytes: usize,
    pub timeout: Duration,
}

/// All of a user that a client decides.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    /// 1 to 100 characters after trimming, no control characters.
    #[schema(min_length = 1, example = "Ada Lovelace")]
    pub(crate) name: String,
    /// Unique regardless of case.
    #[schema(format = IdnEmail, max_length = 254, example = "ada@example.com")]
    pub(crate) email: String,
}

/// What to change of a user: a merge patch (RFC 7396). Fields that are not there stay as they are; none can be removed.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// 1 to 100 characters after trimming, no control characters.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 1, example = "Ada Lovelace")]
    pub(crate) name: Option<String>,
    /// Unique regardless of case.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, format = IdnEmail, max_length = 254, example = "ada@example.com")]
    pub(crate) email: Option<String>,
}

/// A field that may be missing, but not null: in a merge patch that would remove it.
fn not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// A kind of body.
pub(crate) trait Format: DeserializeOwned {
    const MEDIA_TYPE: &'static str;
    /// The header that names the media type to whoever sent another; PATCH has one of its own (RFC 5789).
    const ACCEPT: &'static str;
    /// Whether every field must be there.
    const COMPLETE: bool;
}

impl Format for UserBody {
    const MEDIA_TYPE: &'static str = "application/json";
    const ACCEPT: &'static str = "accept";
    const COMPLETE: bool = true;
}

impl Format for UserPatch {
    const MEDIA_TYPE: &'static str = "application/merge-patch+json";
    const ACCEPT: &'static str = "accept-patch";
    const COMPLETE: bool = false;
}

/// The body of a request.
pub(super) struct Body<T>(pub(super) T);

impl<T: Format> FromRequest for Body<T> {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if !has_media_type(request, T::MEDIA_TYPE) {
            return Box::pin(async {
                Err(Failure::UnsupportedMediaType { accepted: T::MEDIA_TYPE, header: T::ACCEPT })
            });
        }
        if is_encoded(request) {
            return Box::pin(async { Err(Failure::EncodedBody) });
        }
        let limits = request.app_data::<BodyLimits>().copied();
        let turns = request.conn_data::<Turns>().cloned();
        if let Some(turns) = &turns {
            turns.receive();
        }
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let bytes = match limits {
                Some(limits) => read(bytes, limits).await?,
                None => return Err(domain::Error::Internal.into()),
            };
            if let Some(turns) = turns {
                turns.received();
            }
            parse(&bytes).map(Self)
        })
    }
}

fn has_media_type(request: &HttpRequest, expected: &str) -> bool {
    let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // What follows the semicolon may name a charset; JSON has one only (RFC 8259, 8.1).
    given.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(expected))
}

/// `identity` is a word for not being so (RFC 9110, 8.4.1), with which the answer to one that is asks for one that is not.
fn is_encoded(request: &HttpRequest) -> bool {
    let is_plain = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    let mut given = request.headers().get_all(CONTENT_ENCODING);
    !given.all(|codings| codings.to_str().is_ok_and(|codings| codings.split(',').map(str::trim).all(is_plain)))
}

async fn read(bytes: impl Future<Output = actix_web::Result<Bytes>>, limits: BodyLimits) -> Result<Bytes, Failure> {
    let Ok(result) = tokio::time::timeout(limits.timeout, bytes).await else {
        return Err(Failure::BodyTimeout);
    };
    result.map_err(|error| match error.as_error() {
        Some(PayloadError::Overflow) => Failure::BodyTooLarge { limit: limits.max_bytes },
        _ => Failure::MalformedBody("it ended early".to_owned()),
    })
}

pub(crate) fn parse<T: Format>(bytes: &[u8]) -> Result<T, Failure> {
    // Serde would read a struct from an array as well.
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice(bytes) {
        Ok(body) if is_object => Ok(body),
        result => Err(explain(bytes, T::COMPLETE, result.err())),
    }
}

/// The most fields that one answer complains of: a body can hold thousands.
const MAX_COMPLAINTS: usize = 20;

/// Finds everything that is wrong with a body that could not be read. Only failures pay for this second look.
fn explain(bytes: &[u8], complete: bool, error: Option<serde_json::Error>) -> Failure {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return malformed(error);
    };
    let Value::Object(fields) = value else {
        return domain::Error::Invalid(vec![FieldError { field: None, detail: "must be an object" }]).into();
    };
    let unknown = fields.keys().filter(|key| !["name", "email"].contains(&key.as_str()));
    let unknown = unknown.map(|key| FieldError::new(key, "is not a known field"));
    let wrong = [
        complaint("name", fields.get("name"), complete, |text| UserName::parse(text).err()),
        complaint("email", fields.get("email"), complete, |text| Email::parse(text).err()),
    ];
    let complaints = Vec::from_iter(wrong.into_iter().flatten().chain(unknown).take(MAX_COMPLAINTS));
    // Nothing is wrong with the fields themselves: one of them is there twice.
    if complaints.is_empty() { malformed(error) } else { domain::Error::Invalid(complaints).into() }
}

fn malformed(error: Option<serde_json::Error>) -> Failure {
    let place = error.map(|error| format!("see line {}, column {}", error.line(), error.column()));
    Failure::MalformedBody(place.unwrap_or_default())
}

fn complaint(
    field: &str,
    value: Option<&Value>,
    required: bool,
    parse: impl Fn(String) -> Option<FieldError>,
) -> Option<FieldError> {
    let error = |detail| Some(FieldError::new(field, detail));
    match value {
        None if required => error("is required"),
        None => None,
        Some(Value::String(text)) => parse(text.clone()),
        Some(Value::Null) if !required => error("cannot be removed"),
        Some(_) => error("must be a string"),
    }
}

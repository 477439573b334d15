//! A user's fields as JSON.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::body::Format;
use crate::domain::{self, Email, FieldError, UserName};
use crate::http::problem::Failure;

/// All fields of a user that a client decides.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    /// 1 to 100 characters after trimming, without control characters.
    #[schema(min_length = 1, example = "Ada Lovelace")]
    pub(crate) name: String,
    /// Unique among all users, regardless of case.
    #[schema(format = IdnEmail, max_length = 254, example = "ada@example.com")]
    pub(crate) email: String,
}

/// The fields of a user to change, as a merge patch (RFC 7396). A field that is missing stays as it is. No field can be
/// removed.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// 1 to 100 characters after trimming, without control characters.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 1, example = "Ada Lovelace")]
    pub(crate) name: Option<String>,
    /// Unique among all users, regardless of case.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, format = IdnEmail, max_length = 254, example = "ada@example.com")]
    pub(crate) email: Option<String>,
}

/// Reads a field that may be missing, but not null: in a merge patch, null removes a field.
fn not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl Format for UserBody {
    const MEDIA_TYPE: &'static str = "application/json";
    const ACCEPT: &'static str = "accept";

    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        parse(bytes, true)
    }
}

impl Format for UserPatch {
    const MEDIA_TYPE: &'static str = "application/merge-patch+json";
    const ACCEPT: &'static str = "accept-patch";

    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        parse(bytes, false)
    }
}

/// Parses a body. `complete`: all fields are required.
fn parse<T: DeserializeOwned>(bytes: &[u8], complete: bool) -> Result<T, Failure> {
    // Serde would take an array for a struct, too.
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice(bytes) {
        Ok(body) if is_object => Ok(body),
        result => Err(explain(bytes, complete, result.err())),
    }
}

/// The most fields that one answer reports: a body can hold thousands.
const MAX_FIELD_ERRORS: usize = 20;

/// Finds everything that is wrong with a body, where serde reports only the first error. Only a failure costs this
/// second pass.
fn explain(bytes: &[u8], complete: bool, error: Option<serde_json::Error>) -> Failure {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return malformed(error);
    };
    let Value::Object(fields) = value else {
        return domain::Error::Invalid(vec![FieldError { field: None, detail: "must be an object" }]).into();
    };
    let unknown = fields.keys().filter(|key| !["name", "email"].contains(&key.as_str()));
    let unknown = unknown.map(|key| FieldError::new(key, "is not a known field"));
    let known = [
        check("name", fields.get("name"), complete, |text| UserName::parse(text).err()),
        check("email", fields.get("email"), complete, |text| Email::parse(text).err()),
    ];
    let errors = Vec::from_iter(known.into_iter().flatten().chain(unknown).take(MAX_FIELD_ERRORS));
    // If each field is valid, one of them occurs twice.
    if errors.is_empty() { malformed(error) } else { domain::Error::Invalid(errors).into() }
}

fn malformed(error: Option<serde_json::Error>) -> Failure {
    let location = error.map(|error| format!("see line {}, column {}", error.line(), error.column()));
    Failure::MalformedBody(location.unwrap_or_default())
}

fn check(
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

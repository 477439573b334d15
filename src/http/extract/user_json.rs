//! A user's fields as JSON.

use std::collections::BTreeMap;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::body::Format;
use crate::domain::{
    self, Assignment, Attributes, AttributesPatch, Email, ExternalId, FieldError, RawProfile, Status, UserName,
};
use crate::http::problem::Failure;

/// All fields of a user that a client decides.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    /// 1 to 100 characters after trimming, without control characters.
    #[schema(min_length = 1, example = "Ada Lovelace")]
    name: String,
    /// Unique among all users, regardless of case.
    #[schema(format = IdnEmail, max_length = 254, example = "ada@example.com")]
    email: String,
    // The next three are not a struct of their own: serde's `flatten` would read numbers as doubles.
    /// The user's key in the system that it came from. Unique, and compared byte for byte. Null is none.
    #[serde(default, deserialize_with = "assignment")]
    #[schema(value_type = Option<String>, required = false, min_length = 1, max_length = 255, example = "hr-1815")]
    external_id: Assignment<String>,
    // Without a description of its own: utoipa would make an object of it.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = StatusName, inline, required = false)]
    status: Option<String>,
    /// What only the callers know about the user: at most 8 KiB without white space, 64 members and 4 levels.
    #[serde(default, deserialize_with = "assignment")]
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>, required = false, example = json!({"department": "Sales"}))]
    attributes: Assignment<Box<RawValue>>,
}

impl UserBody {
    /// The name, the email and the other fields.
    pub(crate) fn into_parts(self) -> (String, String, RawProfile) {
        let Self { name, email, external_id, status, attributes } = self;
        (name, email, raw_profile(external_id, status, attributes, false))
    }
}

/// The fields of a user to change, as a merge patch (RFC 7396). A field that is missing stays as it is. Name, email and
/// status cannot be removed.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// 1 to 100 characters after trimming, without control characters.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 1, example = "Ada Lovelace")]
    name: Option<String>,
    /// Unique among all users, regardless of case.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, format = IdnEmail, max_length = 254, example = "ada@example.com")]
    email: Option<String>,
    /// The user's key in the system that it came from. Null removes it.
    #[serde(default, deserialize_with = "assignment")]
    #[schema(value_type = Option<String>, required = false, min_length = 1, max_length = 255, example = "hr-1815")]
    external_id: Assignment<String>,
    // Without a description of its own: utoipa would make an object of it.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = StatusName, inline, required = false)]
    status: Option<String>,
    /// Merged into the user's attributes: a member that is null is removed, at any depth. Null removes all.
    #[serde(default, deserialize_with = "assignment")]
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>, required = false, example = json!({"department": null, "team": "7"}))]
    attributes: Assignment<Box<RawValue>>,
}

impl UserPatch {
    /// The name, the email and the other fields.
    pub(crate) fn into_parts(self) -> (Option<String>, Option<String>, RawProfile) {
        let Self { name, email, external_id, status, attributes } = self;
        (name, email, raw_profile(external_id, status, attributes, true))
    }
}

/// All fields of a user that a client of version 1 decides.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = v1::UserBody)]
pub(crate) struct NameAndEmail {
    /// 1 to 100 characters after trimming, without control characters.
    #[schema(min_length = 1, example = "Ada Lovelace")]
    pub(crate) name: String,
    /// Unique among all users, regardless of case.
    #[schema(format = IdnEmail, max_length = 254, example = "ada@example.com")]
    pub(crate) email: String,
}

/// Whether the user is switched on. The service treats both alike, and does not show `active`.
#[derive(ToSchema)]
#[schema(as = Status, rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes a text")]
pub(crate) enum StatusName {
    Active,
    Disabled,
}

/// Reads a field that may be missing, but not null: in a merge patch, null removes a field.
fn not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

fn raw_profile(
    external_id: Assignment<String>,
    status: Option<String>,
    attributes: Assignment<Box<RawValue>>,
    merges: bool,
) -> RawProfile {
    let attributes = attributes.map(|json| Box::<str>::from(json).into());
    RawProfile { external_id, status, attributes, merges, ..RawProfile::default() }
}

/// Reads a field that may be missing or null.
fn assignment<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Assignment<T>, D::Error> {
    Option::deserialize(deserializer).map(|value| value.map_or(Assignment::Remove, Assignment::Set))
}

impl Format for UserBody {
    const MEDIA_TYPE: &'static str = "application/json";
    const ACCEPT: &'static str = "accept";

    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        parse(bytes, Fields::All)
    }
}

impl Format for NameAndEmail {
    const MEDIA_TYPE: &'static str = "application/json";
    const ACCEPT: &'static str = "accept";

    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        parse(bytes, Fields::NameAndEmail)
    }
}

impl Format for UserPatch {
    const MEDIA_TYPE: &'static str = "application/merge-patch+json";
    const ACCEPT: &'static str = "accept-patch";

    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        parse(bytes, Fields::Patch)
    }
}

/// The fields that a body may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fields {
    /// All. Name and email are required.
    All,
    /// Both are required.
    NameAndEmail,
    /// All. None is required.
    Patch,
}

fn parse<T: DeserializeOwned>(bytes: &[u8], fields: Fields) -> Result<T, Failure> {
    // Serde would take an array for a struct, too.
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice(bytes) {
        Ok(body) if is_object => Ok(body),
        result => Err(explain(bytes, fields, result.err())),
    }
}

/// The most fields that one answer reports: a body can hold thousands.
const MAX_FIELD_ERRORS: usize = 20;

/// The members of a body, as they were written: a [`Value`] would have other numbers.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Finds everything that is wrong with a body, where serde reports only the first error. Only a failure costs this
/// second pass.
fn explain(bytes: &[u8], fields: Fields, error: Option<serde_json::Error>) -> Failure {
    let Ok(members) = serde_json::from_slice::<Members<'_>>(bytes) else {
        if serde_json::from_slice::<Value>(bytes).is_err() {
            return malformed(error);
        }
        return domain::Error::Invalid(vec![FieldError::of_user("must be an object")]).into();
    };
    // As text that is not what JSON allows, or nested too deep. Attributes may be both: they are checked by themselves.
    let is_value =
        |(name, json): (&String, &&RawValue)| name == "attributes" || serde_json::from_str::<Value>(json.get()).is_ok();
    if !members.iter().all(is_value) {
        return malformed(error);
    }
    let mut errors = errors_of_known(&members, fields);
    let is_known = |name: &str| match fields {
        Fields::NameAndEmail => matches!(name, "name" | "email"),
        Fields::All | Fields::Patch => matches!(name, "name" | "email" | "external_id" | "status" | "attributes"),
    };
    let unknown = members.keys().filter(|name| !is_known(name));
    errors.extend(unknown.map(|name| FieldError::new(name, "is not a known field")).take(MAX_FIELD_ERRORS));
    errors.truncate(MAX_FIELD_ERRORS);
    // If each field is valid, one of them occurs twice.
    if errors.is_empty() { malformed(error) } else { domain::Error::Invalid(errors).into() }
}

fn malformed(error: Option<serde_json::Error>) -> Failure {
    let location = error.map(|error| format!("see line {}, column {}", error.line(), error.column()));
    Failure::MalformedBody(location.unwrap_or_default())
}

fn errors_of_known(members: &Members<'_>, fields: Fields) -> Vec<FieldError> {
    let is_required = fields != Fields::Patch;
    let mut errors = vec![
        check("name", members, is_required, |text| UserName::parse(text).err()),
        check("email", members, is_required, |text| Email::parse(text).err()),
    ];
    if fields != Fields::NameAndEmail {
        errors.extend([external_id(members), status(members), attributes(members, fields == Fields::Patch)]);
    }
    errors.into_iter().flatten().collect()
}

fn check(
    field: &str,
    members: &Members<'_>,
    is_required: bool,
    parse: impl Fn(String) -> Option<FieldError>,
) -> Option<FieldError> {
    let error = |detail| Some(FieldError::new(field, detail));
    match value(field, members) {
        None if is_required => error("is required"),
        None => None,
        Some(Value::String(text)) => parse(text),
        Some(Value::Null) if !is_required => error("cannot be removed"),
        Some(_) => error("must be a string"),
    }
}

fn external_id(members: &Members<'_>) -> Option<FieldError> {
    match value("external_id", members)? {
        Value::Null => None,
        Value::String(text) => ExternalId::parse(text).err(),
        _ => Some(FieldError::new("external_id", "must be a string or null")),
    }
}

fn status(members: &Members<'_>) -> Option<FieldError> {
    match value("status", members)? {
        Value::String(text) => Status::parse(&text).err(),
        _ => Some(FieldError::new("status", Status::EXPECTED)),
    }
}

fn attributes(members: &Members<'_>, is_patch: bool) -> Option<FieldError> {
    match members.get("attributes")? {
        json if json.get() == "null" => None,
        json if is_patch => AttributesPatch::parse(json.get()).err(),
        json => Attributes::parse(json.get()).err(),
    }
}

fn value(field: &str, members: &Members<'_>) -> Option<Value> {
    serde_json::from_str(members.get(field)?.get()).ok()
}

//! The bodies of batches.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment};
use utoipa::ToSchema;

use super::body::Format;
use super::object::{Object, at_most};
use super::user_json::{UserBody, UserPatch};
use crate::domain::{Email, EmailKey, MAX_BATCH, RawOperation, UserId, Version};
use crate::http::problem::Failure;

/// The users to get: by `ids` or by `emails`, of which exactly one is given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchGetBody {
    /// At most 1,000.
    #[serde(default, deserialize_with = "ids")]
    #[schema(value_type = Vec<i64>, required = false, max_items = 1000, example = json!([1, 2]))]
    pub(crate) ids: Option<Vec<UserId>>,
    /// At most 1,000.
    #[serde(default, deserialize_with = "emails")]
    #[schema(value_type = Vec<String>, required = false, max_items = 1000)]
    pub(crate) emails: Option<Vec<AskedEmail>>,
}

/// An address to find a user by.
pub(crate) struct AskedEmail {
    /// As it was written.
    pub(crate) text: String,
    pub(crate) key: EmailKey,
}

/// The operations of a batch.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchWriteBody {
    /// At most 1,000.
    #[serde(deserialize_with = "at_most::<MAX_BATCH, _, _>")]
    #[schema(max_items = 1000)]
    pub(crate) operations: Vec<OperationBody>,
    /// Whether to execute all operations or none. Then no two may touch the same user, email or external id; deletes are
    /// executed first, then updates, then creates.
    #[serde(default)]
    pub(crate) atomic: bool,
}

/// One operation.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationBody {
    /// The user to create.
    #[schema(value_type = UserBody)]
    Create(Object<UserBody>),
    /// The user to update.
    #[schema(value_type = UpdateBody)]
    Update(Object<UpdateBody>),
    /// The user to delete.
    #[schema(value_type = DeleteBody)]
    Delete(Object<DeleteBody>),
}

/// An update.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateBody {
    /// The user's id.
    #[serde(deserialize_with = "id")]
    #[schema(value_type = i64, minimum = 1, example = 1)]
    id: UserId,
    /// Update the user only in this version, named by entity tag; `*` is any version.
    #[serde(default, deserialize_with = "if_match")]
    #[schema(value_type = String, required = false, example = "\"1\"")]
    if_match: Option<Version>,
    /// The fields to change.
    #[schema(value_type = UserPatch)]
    patch: Object<UserPatch>,
}

/// A delete.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteBody {
    /// The user's id.
    #[serde(deserialize_with = "id")]
    #[schema(value_type = i64, minimum = 1, example = 1)]
    id: UserId,
    /// Delete the user only in this version, named by entity tag; `*` is any version.
    #[serde(default, deserialize_with = "if_match")]
    #[schema(value_type = String, required = false, example = "\"1\"")]
    if_match: Option<Version>,
}

impl From<OperationBody> for RawOperation {
    fn from(operation: OperationBody) -> Self {
        match operation {
            OperationBody::Create(Object(body)) => {
                let (name, email, profile) = body.into_parts();
                Self::Create { name, email, profile }
            }
            OperationBody::Update(Object(UpdateBody { id, if_match, patch: Object(patch) })) => {
                let (name, email, profile) = patch.into_parts();
                Self::Update { id, expected: if_match, name, email, profile }
            }
            OperationBody::Delete(Object(DeleteBody { id, if_match })) => Self::Delete { id, expected: if_match },
        }
    }
}

impl Format for BatchGetBody {
    const MEDIA_TYPE: &'static str = "application/json";
    const ACCEPT: &'static str = "accept";

    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let body: Self = parse(bytes)?;
        if body.ids.is_some() == body.emails.is_some() {
            let detail = "must have either ids or emails".into();
            return Err(Failure::InvalidBatch { pointer: String::new(), detail });
        }
        Ok(body)
    }
}

impl Format for BatchWriteBody {
    const MEDIA_TYPE: &'static str = "application/json";
    const ACCEPT: &'static str = "accept";

    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        parse(bytes)
    }
}

fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let result = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        if error.is_data() {
            return Failure::InvalidBatch {
                pointer: shortened(pointer),
                detail: Cow::Owned(shortened(error.to_string())),
            };
        }
        malformed(&error)
    });
    let Object(body) = result?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(body)
}

fn malformed(error: &serde_json::Error) -> Failure {
    Failure::MalformedBody(format!("see line {}, column {}", error.line(), error.column()))
}

/// What names the client's own text, which may be long: this much of it is enough to find it.
fn shortened(text: String) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text[..end].to_owned() + "...",
        None => text,
    }
}

/// The JSON pointer (RFC 6901) of a path.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } | Segment::Enum { variant: key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Unknown => break,
        };
        pointer.push('/');
        pointer.push_str(&part);
    }
    pointer
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UserId, D::Error> {
    UserId::from_i64(i64::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// An id of a list, where errors then name its place.
struct Id(UserId);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        id(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for AskedEmail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = Email::parse_to_find(&text).map_err(|error| D::Error::custom(error.detail))?;
        Ok(Self { text, key })
    }
}

fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<UserId>>, D::Error> {
    let ids = at_most::<MAX_BATCH, _, Id>(deserializer)?;
    Ok(Some(ids.into_iter().map(|Id(id)| id).collect()))
}

fn emails<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<AskedEmail>>, D::Error> {
    at_most::<MAX_BATCH, _, _>(deserializer).map(Some)
}

/// Parses one entity tag. A weak one, and one that is no version, match no user.
fn if_match<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Version>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "*" {
        return Ok(None);
    }
    let (is_weak, quoted) = text.strip_prefix("W/").map_or((false, text.as_str()), |quoted| (true, quoted));
    let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|it| !it.contains('"'));
    let opaque =
        opaque.ok_or_else(|| D::Error::custom("must be * or one entity tag such as \"1\", with its quotes"))?;
    Ok(Some(Version::of_tag(opaque).filter(|_| !is_weak).unwrap_or(Version::NEVER)))
}

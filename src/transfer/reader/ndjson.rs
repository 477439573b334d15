//! A line of NDJSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::fault::Fault;
use super::record::{Content, Parsed};
use crate::domain::{Assignment, RawProfile, Status};
use crate::transfer::format::fields::{END, EXPORTED_EARLIER, FIELDS};

pub(super) fn parse(line: &[u8]) -> Result<Parsed, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::NOT_UTF8)?;
    if text.contains('\0') {
        return Err(Fault::NUL);
    }
    let Members(members) = serde_json::from_str::<Members<'_>>(text).map_err(|error| match error.classify() {
        Category::Data => Fault::NOT_AN_OBJECT,
        _ => Fault::MALFORMED_JSON,
    })?;
    match members.as_slice() {
        [(name, end)] if name == END => parse_end(&value(end)?),
        _ => parse_user(members),
    }
}

fn parse_end(end: &Value) -> Result<Parsed, Fault> {
    let users = end.as_object().filter(|end| end.len() == 1).and_then(|end| end.get("users")?.as_u64());
    let users = users.ok_or(Fault::MALFORMED_END)?;
    Ok(Parsed { content: Content::End { users }, is_exported: true })
}

fn parse_user(members: Vec<(String, &RawValue)>) -> Result<Parsed, Fault> {
    let mut values = FIELDS.map(|_| None);
    for (name, value) in members {
        let known = FIELDS.iter().zip(&mut values).find(|(field, _)| **field == name);
        let Some((_, kept)) = known else { return Err(Fault::unknown(&name)) };
        if kept.replace(value).is_some() {
            return Err(Fault::repeated(&name));
        }
    }
    let is_exported = values.iter().take(EXPORTED_EARLIER).all(Option::is_some);
    let [_, name, email, _, _, _, external_id, status, attributes] = values;
    let (name, email) = (text("name", name)?, text("email", email)?);
    let (name, email) = (name.ok_or(Fault::missing("name"))?, email.ok_or(Fault::missing("email"))?);
    let profile = RawProfile {
        external_id: assignment(external_id, |json| text("external_id", Some(json)).map(Option::unwrap_or_default))?,
        status: match status {
            Some(json) if json.get() == NULL => Some(Status::Active.as_str().to_owned()),
            status => text("status", status)?,
        },
        attributes: assignment(attributes, |json| Ok(json.get().to_owned()))?,
        merges: false,
        ..RawProfile::default()
    };
    Ok(Parsed { content: Content::User { name, email, profile }, is_exported })
}

const NULL: &str = "null";

/// A member that may be missing or null.
fn assignment(
    json: Option<&RawValue>,
    read: impl FnOnce(&RawValue) -> Result<String, Fault>,
) -> Result<Assignment<String>, Fault> {
    Ok(match json {
        None => Assignment::Keep,
        Some(json) if json.get() == NULL => Assignment::Remove,
        Some(json) => Assignment::Set(read(json)?),
    })
}

fn text(field: &str, json: Option<&RawValue>) -> Result<Option<String>, Fault> {
    match json.map(value).transpose()? {
        None => Ok(None),
        Some(Value::String(text)) if text.contains('\0') => Err(Fault::nul_in(field)),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::not_text(field)),
    }
}

/// The value of a member. Half a surrogate pair is none.
fn value(json: &RawValue) -> Result<Value, Fault> {
    serde_json::from_str(json.get()).map_err(|_| Fault::MALFORMED_JSON)
}

/// The members of an object, in their order: `serde_json`'s own map forgets the first of two with one name. They are as
/// they were written: numbers of attributes keep their digits.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

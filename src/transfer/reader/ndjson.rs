//! A line of NDJSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use super::fault::Fault;
use super::record::{Content, Parsed};
use crate::transfer::format::fields::{END, FIELDS};

pub(super) fn parse(line: &[u8]) -> Result<Parsed, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::NOT_UTF8)?;
    if text.contains('\0') {
        return Err(Fault::NUL);
    }
    let Members(members) = serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Data => Fault::NOT_AN_OBJECT,
        _ => Fault::MALFORMED_JSON,
    })?;
    match members.as_slice() {
        [(name, end)] if name == END => parse_end(end),
        _ => parse_user(members),
    }
}

fn parse_end(end: &Value) -> Result<Parsed, Fault> {
    let users = end.as_object().filter(|end| end.len() == 1).and_then(|end| end.get("users")?.as_u64());
    let users = users.ok_or(Fault::MALFORMED_END)?;
    Ok(Parsed { content: Content::End { users }, is_exported: true })
}

fn parse_user(members: Vec<(String, Value)>) -> Result<Parsed, Fault> {
    let mut values = FIELDS.map(|_| None);
    for (name, value) in members {
        let known = FIELDS.iter().zip(&mut values).find(|(field, _)| **field == name);
        let Some((_, kept)) = known else { return Err(Fault::unknown(&name)) };
        if kept.replace(value).is_some() {
            return Err(Fault::repeated(&name));
        }
    }
    let is_exported = values.iter().all(Option::is_some);
    let [_, name, email, ..] = values;
    let content = Content::User { name: text("name", name)?, email: text("email", email)? };
    Ok(Parsed { content, is_exported })
}

fn text(field: &str, value: Option<Value>) -> Result<String, Fault> {
    match value {
        None => Err(Fault::missing(field)),
        Some(Value::String(text)) if text.contains('\0') => Err(Fault::nul_in(field)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Fault::not_text(field)),
    }
}

/// The members of an object, in their order: `serde_json`'s own map forgets the first of two with one name.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

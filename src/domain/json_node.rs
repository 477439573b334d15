//! JSON with the digits of its numbers. `serde_json::Value` would keep them only with a feature that changes numbers
//! everywhere in the program.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_number;

/// A JSON value: an object, or the canonical text of anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Object(Members),
    Text(String),
}

/// The members of an object, in the order of their names.
pub(super) type Members = BTreeMap<String, Node>;

/// What is wrong with a part of a value.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The part, as a JSON pointer (RFC 6901).
    pub(super) pointer: String,
    pub(super) detail: &'static str,
}

impl Wrong {
    const fn here(detail: &'static str) -> Self {
        Self { pointer: String::new(), detail }
    }

    fn within(self, name: &str) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("/{name}{}", self.pointer), ..self }
    }
}

impl Node {
    /// Parses a value of which objects and arrays lie at most `depth` deep in each other. So deep does it recurse, too.
    pub(super) fn parse(json: &RawValue, depth: usize) -> Result<Self, Wrong> {
        let text = json.get();
        match text.as_bytes().first() {
            Some(b'{' | b'[') if depth == 0 => Err(Wrong::here("must not be nested deeper than 4 levels")),
            Some(b'{') => object(text, depth - 1).map(Self::Object),
            Some(b'[') => array(text, depth - 1).map(Self::Text),
            Some(b'"') => canonical_text(text).map(Self::Text),
            Some(b'-' | b'0'..=b'9') => json_number::canonical(text).map(Self::Text).map_err(Wrong::here),
            _ => Ok(Self::Text(text.to_owned())),
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Object(members) => write_object(members, out),
            Self::Text(text) => out.push_str(text),
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Text(text) if text == "null")
    }
}

fn object(text: &str, depth: usize) -> Result<Members, Wrong> {
    let RawMembers(raw) = serde_json::from_str(text).map_err(|_| NOT_TEXT)?;
    let mut members = Members::new();
    for (name, value) in raw {
        check(&name)?;
        let value = Node::parse(value, depth).map_err(|wrong| wrong.within(&name))?;
        if members.contains_key(&name) {
            return Err(Wrong::here("occurs twice").within(&name));
        }
        members.insert(name, value);
    }
    Ok(members)
}

/// The member of an object with this name, if the text is an object and has one.
pub(super) fn member<'a>(text: &'a str, name: &str) -> Option<&'a RawValue> {
    let RawMembers(members) = serde_json::from_str(text).ok()?;
    members.into_iter().find_map(|(other, value)| (other == name).then_some(value))
}

fn array(text: &str, depth: usize) -> Result<String, Wrong> {
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| NOT_TEXT)?;
    let mut out = String::from("[");
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        Node::parse(item, depth).map_err(|wrong| wrong.within(&place.to_string()))?.write(&mut out);
    }
    out.push(']');
    Ok(out)
}

fn canonical_text(json: &str) -> Result<String, Wrong> {
    // Half a surrogate pair is an escape that stands for no character.
    let text: String = serde_json::from_str(json).map_err(|_| NOT_TEXT)?;
    check(&text)?;
    Ok(quoted(&text))
}

const NOT_TEXT: Wrong = Wrong::here("must be Unicode text");

/// PostgreSQL stores no NUL in a text, and its jsonb no escape of one.
fn check(text: &str) -> Result<(), Wrong> {
    if text.contains('\0') { Err(Wrong::here("must not contain U+0000")) } else { Ok(()) }
}

fn quoted(text: &str) -> String {
    // Serializing a text cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// Writes an object in its canonical form.
pub(super) fn write_object(members: &Members, out: &mut String) {
    out.push('{');
    for (place, (name, value)) in members.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push_str(&quoted(name));
        out.push(':');
        value.write(out);
    }
    out.push('}');
}

/// Merges a patch into an object (RFC 7396).
pub(super) fn merge(target: &mut Members, patch: &Members) {
    for (name, value) in patch {
        match value {
            value if value.is_null() => drop(target.remove(name)),
            Node::Object(patch) => {
                let mut members = match target.remove(name) {
                    Some(Node::Object(members)) => members,
                    _ => Members::new(),
                };
                merge(&mut members, patch);
                target.insert(name.clone(), Node::Object(members));
            }
            Node::Text(_) => drop(target.insert(name.clone(), value.clone())),
        }
    }
}

/// The members of an object as they were written. A map would forget names that occur twice.
struct RawMembers<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawMembersVisitor).map(Self)
    }
}

struct RawMembersVisitor;

impl<'de> Visitor<'de> for RawMembersVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

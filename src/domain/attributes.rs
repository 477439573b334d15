//! Attributes: what only the callers know about a user, as a JSON object.

use serde_json::value::RawValue;

use super::FieldError;
use super::json_node::{self, Members, Node, Wrong};

/// Attributes of a user: a JSON object with at least one member.
///
/// Its text is canonical: without white space, the members of each object in the order of their names, no name twice,
/// each text with the fewest escapes. So equal attributes have equal texts. Numbers keep their digits: `1.0` is not `1`,
/// and a long number is not rounded.
#[derive(Clone, Debug)]
pub struct Attributes(Box<RawValue>);

impl Attributes {
    /// The longest text, in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;
    /// The most members of the object itself.
    pub const MAX_MEMBERS: usize = 64;
    /// How deep objects and arrays may lie in each other. The object itself counts.
    pub const MAX_DEPTH: usize = 4;

    /// Parses attributes. `None` if the object is empty.
    ///
    /// # Errors
    /// The first thing that is wrong, with where it is.
    pub fn parse(text: &str) -> Result<Option<Self>, FieldError> {
        Self::of(&members(text)?)
    }

    /// Attributes that were parsed before they were stored. `None` if that is not what they are: an operator can write
    /// anything.
    #[must_use]
    pub fn stored(text: String) -> Option<Self> {
        RawValue::from_string(text).ok().filter(|json| json.get().starts_with('{') && json.get() != "{}").map(Self)
    }

    /// The members with these names. `None` if there is none.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Option<Self> {
        // Most callers ask for none.
        if names.is_empty() {
            return None;
        }
        let mut members = members(self.as_str()).ok()?;
        members.retain(|name, _| names.contains(name));
        Self::of(&members).ok()?
    }

    /// The text of a member that is a string, or of a number or a boolean as it is written.
    #[must_use]
    pub fn scalar(&self, name: &str) -> Option<String> {
        let member = json_node::member(self.as_str(), name)?.get();
        match member.as_bytes().first()? {
            b'"' => serde_json::from_str(member).ok(),
            b'{' | b'[' | b'n' => None,
            _ => Some(member.to_owned()),
        }
    }

    fn of(members: &Members) -> Result<Option<Self>, FieldError> {
        let error = |detail| Err(FieldError::new(FIELD, detail));
        if members.is_empty() {
            return Ok(None);
        }
        if members.len() > Self::MAX_MEMBERS {
            return error("must have at most 64 members");
        }
        let mut text = String::new();
        json_node::write_object(members, &mut text);
        if text.len() > Self::MAX_BYTES {
            return error("must have at most 8192 bytes");
        }
        // It was just written, so it is JSON.
        Ok(RawValue::from_string(text).ok().map(Self))
    }

    /// The object.
    #[must_use]
    pub const fn json(&self) -> &RawValue {
        &self.0
    }

    /// The text of the object.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Attributes {}

/// A merge patch of attributes (RFC 7396): members that are null are removed, objects are merged at all depths, and all
/// else is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributesPatch(
    // As text: as a tree, small members take fifty times as much memory while the patch waits.
    Box<str>,
);

impl AttributesPatch {
    /// The longest patch, in bytes without white space: it may remove as much as it sets.
    pub const MAX_BYTES: usize = 2 * Attributes::MAX_BYTES;

    /// Parses a patch.
    ///
    /// # Errors
    /// The first thing that is wrong, with where it is.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let mut canonical = String::new();
        json_node::write_object(&members(text)?, &mut canonical);
        if canonical.len() > Self::MAX_BYTES {
            return Err(FieldError::new(FIELD, "must have at most 16384 bytes in a patch"));
        }
        Ok(Self(canonical.into()))
    }

    /// The attributes after the patch. `None` if nothing is left.
    ///
    /// # Errors
    /// Why they cannot be attributes: they may be too many or too long.
    pub fn apply(&self, attributes: Option<&Attributes>) -> Result<Option<Attributes>, FieldError> {
        // What an operator has stored may be anything. It is replaced then.
        let mut merged = attributes.and_then(|attributes| members(attributes.as_str()).ok()).unwrap_or_default();
        json_node::merge(&mut merged, &members(&self.0)?);
        Attributes::of(&merged)
    }

    /// The text of the patch. Equal patches have equal texts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const FIELD: &str = "attributes";

fn members(text: &str) -> Result<Members, FieldError> {
    let json = serde_json::from_str(text).map_err(|_| FieldError::new(FIELD, "must be JSON"))?;
    match Node::parse(json, Attributes::MAX_DEPTH) {
        Ok(Node::Object(members)) => Ok(members),
        Ok(Node::Text(_)) => Err(FieldError::new(FIELD, "must be an object")),
        Err(Wrong { pointer, detail }) => Err(FieldError::below(FIELD, pointer, detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<String>, FieldError> {
        Ok(Attributes::parse(text)?.map(|attributes| attributes.as_str().to_owned()))
    }

    fn wrong(text: &str) -> (String, &'static str) {
        let error = parse(text).unwrap_err();
        (error.below, error.detail)
    }

    #[test]
    fn equal_attributes_have_equal_texts() {
        let canonical = r#"{"a":[1.0,-0,{"x":null,"y":"é\"/"}],"b":12345678901234567890.10,"c":1e-5}"#;
        for text in
            [canonical, r#" { "c" : 1E-5, "b":12345678901234567890.10 , "a":[1.0, -0, {"y":"\u00e9\"\/","x":null}]}"#]
        {
            assert_eq!(parse(text).unwrap().as_deref(), Some(canonical));
        }
        assert_eq!(parse(" { } "), Ok(None));
        assert_eq!(parse(r#"{"a":null,"":{}}"#).unwrap().unwrap(), r#"{"":{},"a":null}"#);
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        assert_eq!(wrong("[]"), (String::new(), "must be an object"));
        assert_eq!(wrong(r#""x""#), (String::new(), "must be an object"));
        assert_eq!(wrong("{'a':1}"), (String::new(), "must be JSON"));
        assert_eq!(wrong(r#"{"a":1,"b":{"c/~":2,"c\/~":3}}"#), ("/b/c~1~0".into(), "occurs twice"));
        assert_eq!(wrong(r#"{"a":[1,{"b":"\u0000"}]}"#), ("/a/1/b".into(), "must not contain U+0000"));
        assert_eq!(wrong(r#"{"a\u0000":1}"#), (String::new(), "must not contain U+0000"));
        assert_eq!(wrong(r#"{"a":"\ud800"}"#), ("/a".into(), "must be Unicode text"));
        assert_eq!(wrong(r#"{"a":[[{"b":{}}]]}"#), ("/a/0/0/b".into(), "must not be nested deeper than 4 levels"));
        assert!(parse(r#"{"a":[[{"b":1}]]}"#).is_ok());
    }

    #[test]
    fn numbers_stay_within_what_others_can_read() {
        for number in ["1e308", "-1.5e-308", "0e0", "123456789012345678901234567890", "1e005"] {
            assert!(parse(&format!(r#"{{"a":{number}}}"#)).is_ok(), "{number}");
        }
        let long = "9".repeat(400);
        for number in ["1e309", "1e-309", "1.8e308", "1e99999999999999999999", "0e400", &long] {
            assert_eq!(wrong(&format!(r#"{{"a":{number}}}"#)).0, "/a", "{number}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let members = |count: usize| {
            let members = Vec::from_iter((0..count).map(|n| format!(r#""m{n}":1"#)));
            parse(&format!("{{{}}}", members.join(",")))
        };
        assert!(members(64).is_ok());
        assert_eq!(members(65).unwrap_err().detail, "must have at most 64 members");
        let bytes = |count: usize| parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(count - 8)));
        assert_eq!(bytes(8192).unwrap().unwrap().len(), 8192);
        assert_eq!(bytes(8193).unwrap_err().detail, "must have at most 8192 bytes");
        // White space does not count.
        assert!(parse(&format!("{{\"a\":{}1}}", " ".repeat(10_000))).is_ok());
    }

    /// The examples of RFC 7396, appendix A, as far as they are about objects.
    #[test]
    fn a_patch_merges_as_the_rfc_says() {
        for (before, patch, after) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, ""),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"a":"foo"}"#, r#"{"a":{"b":1,"c":null}}"#, r#"{"a":{"b":1}}"#),
        ] {
            let stored = Attributes::stored(before.to_owned());
            let merged = AttributesPatch::parse(patch).unwrap().apply(stored.as_ref()).unwrap();
            assert_eq!(merged.as_ref().map_or("", Attributes::as_str), after, "{before} and {patch}");
        }
    }

    #[test]
    fn a_patch_that_makes_too_much_is_refused() {
        let full = Attributes::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(8184))).unwrap();
        let patch = |text: &str| AttributesPatch::parse(text).unwrap().apply(full.as_ref());
        assert!(patch(r#"{"b":1}"#).is_err());
        assert_eq!(patch(r#"{"a":null,"b":1}"#).unwrap().unwrap().as_str(), r#"{"b":1}"#);
    }

    #[test]
    fn a_patch_is_bounded_too() {
        let patch = |members: usize| {
            let members = Vec::from_iter((0..members).map(|n| format!(r#""m{n:04}":null"#)));
            AttributesPatch::parse(&format!("{{{}}}", members.join(",")))
        };
        assert!(patch(1_000).is_ok());
        assert!(patch(2_000).is_err());
    }

    #[test]
    fn what_an_operator_has_broken_is_none() {
        for text in ["", "{", "[1]", "null", "{}", "{\"a\":1} x"] {
            assert_eq!(Attributes::stored(text.to_owned()), None, "{text}");
        }
    }
}

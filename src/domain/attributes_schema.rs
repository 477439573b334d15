//! What attributes may be, as the operator says.

use std::fmt;

use boon::{Compiler, Draft, ErrorKind, SchemaIndex, Schemas, ValidationError};
use serde_json::Value;

use super::{Attributes, Violation};

/// A JSON Schema (2020-12) for attributes.
pub struct AttributesSchema {
    text: String,
    schemas: Schemas,
    root: SchemaIndex,
}

/// The text is no JSON Schema.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

/// What the schema is called where it is compiled. It has no address: relative references lead nowhere.
const NAME: &str = "urn:user-service:attributes";
/// The most violations that are named.
const MAX_VIOLATIONS: usize = 20;
/// How much of a violation's description is kept, in characters.
const MAX_DETAIL: usize = 200;

impl AttributesSchema {
    /// Parses a schema.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        let json = serde_json::from_str::<Value>(text).map_err(|error| InvalidSchema(error.to_string()))?;
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource(NAME, json).map_err(|error| InvalidSchema(format!("{error:#}")))?;
        let root = compiler.compile(NAME, &mut schemas).map_err(|error| InvalidSchema(format!("{error:#}")))?;
        Ok(Self { text: text.to_owned(), schemas, root })
    }

    /// Checks attributes. A user without any has an empty object.
    ///
    /// # Errors
    /// What the schema forbids; of many violations the first.
    pub fn check(&self, attributes: Option<&Attributes>) -> Result<(), Vec<Violation>> {
        // They were parsed before, so they are JSON.
        let json = serde_json::from_str(attributes.map_or("{}", Attributes::as_str)).unwrap_or_default();
        self.schemas.validate(&json, self.root).map_err(|error| {
            let mut violations = Vec::new();
            collect(&error, &mut violations);
            violations
        })
    }
}

/// Collects the violations that have no others behind them: these name what is wrong.
fn collect(error: &ValidationError<'_, '_>, violations: &mut Vec<Violation>) {
    if violations.len() == MAX_VIOLATIONS {
        return;
    }
    if error.causes.is_empty() || matches!(error.kind, ErrorKind::OneOf(_)) {
        let detail = error.kind.to_string().chars().take(MAX_DETAIL).collect();
        return violations.push(Violation { pointer: format!("/attributes{}", error.instance_location), detail });
    }
    error.causes.iter().for_each(|cause| collect(cause, violations));
}

impl PartialEq for AttributesSchema {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AttributesSchema {}

impl fmt::Debug for AttributesSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AttributesSchema").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r##"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["department"],
        "properties": {
            "department": { "enum": ["Sales", "HR"] },
            "manager": { "type": "string", "format": "email" },
            "address": { "$ref": "#/$defs/address" }
        },
        "additionalProperties": false,
        "$defs": { "address": { "type": "object", "properties": { "zip/code": { "type": "string", "pattern": "^[0-9]{5}$" } } } }
    }"##;

    fn violations(attributes: &str) -> Vec<String> {
        let schema = AttributesSchema::parse(SCHEMA).unwrap();
        let attributes = Attributes::parse(attributes).unwrap();
        let found = schema.check(attributes.as_ref()).err().unwrap_or_default();
        assert!(found.iter().all(|violation| !violation.detail.is_empty()));
        found.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn each_violation_is_pointed_at() {
        assert_eq!(violations(r#"{"department":"HR","manager":"a@b.co","address":{"zip/code":"01234"}}"#), [""; 0]);
        assert_eq!(violations("{}"), ["/attributes"]);
        assert_eq!(violations(r#"{"department":"IT"}"#), ["/attributes/department"]);
        let mut several = violations(r#"{"department":"HR","manager":"a","address":{"zip/code":"1"},"more":1}"#);
        several.sort();
        assert_eq!(several, ["/attributes", "/attributes/address/zip~1code", "/attributes/manager"]);
    }

    #[test]
    fn a_bad_schema_says_why() {
        for (text, word) in
            [("{", "EOF"), (r#"{"type":"thing"}"#, "/type"), (r#"{"$ref":"file:///etc/passwd"}"#, "file")]
        {
            let error = AttributesSchema::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}

//! Filters by attribute.

use std::fmt;

use super::User;

/// The name of an attribute by which lists can be filtered: 1 to 40 ASCII letters, digits, `_` and `-`. So it stands for
/// itself in SQL and in the name of an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeName(Box<str>);

impl AttributeName {
    const MAX_BYTES: usize = 40;

    /// Parses a name. `None` if it has other characters, or too many.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        ((1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(is_known)).then(|| Self(text.into()))
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Users whose attribute of this name is this text, or a number or a boolean that is written so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeFilter {
    pub name: AttributeName,
    value: String,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attributes.{name} {detail}")]
pub struct InvalidAttributeFilter {
    /// The name that was asked for.
    pub name: String,
    /// A phrase for the caller.
    pub detail: &'static str,
}

impl AttributeFilter {
    /// The longest value. A longer one in a user matches no filter.
    const MAX_CHARS: usize = 255;

    /// Parses the filters that a caller asks for, of which each names another attribute. The result does not depend on
    /// their order.
    ///
    /// # Errors
    /// The first that is wrong: only attributes that are `indexed` can be filtered by.
    pub fn parse_all(
        asked: impl IntoIterator<Item = (String, String)>,
        indexed: &[AttributeName],
    ) -> Result<Vec<Self>, InvalidAttributeFilter> {
        let mut filters = Vec::new();
        for (name, value) in asked {
            filters.push(Self::parse(name, value, indexed)?);
        }
        filters.sort_unstable();
        Ok(filters)
    }

    fn parse(name: String, value: String, indexed: &[AttributeName]) -> Result<Self, InvalidAttributeFilter> {
        let error = |name, detail| Err(InvalidAttributeFilter { name, detail });
        let Some(indexed) = indexed.iter().find(|indexed| indexed.as_str() == name) else {
            return error(name, "cannot be filtered by: the service has no index of it (ATTRIBUTES_INDEXED)");
        };
        if value.contains('\0') {
            return error(name, "must not contain U+0000");
        }
        if value.chars().count() > Self::MAX_CHARS {
            return error(name, "must have at most 255 characters");
        }
        Ok(Self { name: indexed.clone(), value })
    }

    /// The value to be found.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the user has this attribute with this value.
    #[must_use]
    pub fn matches(&self, user: &User) -> bool {
        let attributes = user.attributes();
        attributes.and_then(|attributes| attributes.scalar(self.name.as_str())).is_some_and(|value| value == self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Attributes;

    fn parse(name: &str, value: &str) -> Result<AttributeFilter, InvalidAttributeFilter> {
        let indexed = ["department", "level"].map(|name| AttributeName::parse(name).unwrap());
        Ok(AttributeFilter::parse_all([(name.to_owned(), value.to_owned())], &indexed)?.remove(0))
    }

    #[test]
    fn names_stand_for_themselves_in_sql() {
        for name in ["a", "cost-center_1", "Z", &"x".repeat(40)] {
            assert!(AttributeName::parse(name).is_some(), "{name}");
        }
        for name in ["", "a.b", "é", "a'", "a b", "\"", &"x".repeat(41)] {
            assert_eq!(AttributeName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn only_what_is_indexed_can_be_filtered_by() {
        assert!(parse("department", "").is_ok());
        let error = parse("color", "red").unwrap_err();
        assert!(error.to_string().starts_with("attributes.color cannot be filtered by"), "{error}");
    }

    #[test]
    fn values_are_bounded() {
        assert!(parse("level", &"é".repeat(255)).is_ok());
        assert!(parse("level", &"é".repeat(256)).is_err());
        assert!(parse("level", "\0").is_err());
    }

    #[test]
    fn a_value_matches_what_is_written_so() {
        let stored =
            r#"{"department":"1.0","level":1.0,"on":true,"none":null,"list":[1],"map":{"a":1},"quoted":"\"é\\"}"#;
        let attributes = Attributes::stored(stored.to_owned()).unwrap();
        for (name, value) in [("department", "1.0"), ("level", "1.0"), ("on", "true"), ("quoted", "\"é\\")] {
            assert_eq!(attributes.scalar(name).as_deref(), Some(value), "{name}");
        }
        for name in ["none", "list", "map", "missing", ""] {
            assert_eq!(attributes.scalar(name), None, "{name}");
        }
    }
}

//! Names of users.

use super::characters::{is_control, is_invisible};
use super::{FieldError, Folded};

/// The name of a user: 1 to 100 characters without surrounding white space, control characters, line ends and direction
/// overrides, of which at least one is visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// The longest name, in Unicode scalar values.
    pub const MAX_CHARS: usize = 100;

    /// Trims and parses a name.
    ///
    /// # Errors
    /// What is wrong with it, in words for the caller.
    pub fn parse(text: String) -> Result<Self, FieldError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(FieldError::new("name", "must not be empty"));
        }
        // A character has at least one byte, so only longer texts need to be counted.
        if trimmed.len() > Self::MAX_CHARS && trimmed.chars().count() > Self::MAX_CHARS {
            return Err(FieldError::new("name", "must have at most 100 characters"));
        }
        if trimmed.chars().any(is_control) {
            return Err(FieldError::new("name", "must not contain control characters"));
        }
        if trimmed.chars().all(is_invisible) {
            return Err(FieldError::new("name", "must have a character that is seen"));
        }
        Ok(Self(if trimmed.len() == text.len() { text } else { trimmed.to_owned() }))
    }

    /// A name that was parsed before it was stored.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key by which names are searched and ordered.
    #[must_use]
    pub fn key(&self) -> Folded {
        Folded::new(&self.0)
    }

    /// The name.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_trimmed_and_otherwise_kept() {
        assert_eq!(UserName::parse("  Ada Lovelace\n".into()).unwrap().as_str(), "Ada Lovelace");
        assert_eq!(UserName::parse("Ṕ".repeat(100)).unwrap().as_str(), "Ṕ".repeat(100));
    }

    #[test]
    fn refuses_what_is_empty_long_or_unprintable() {
        for text in ["", " \t ", &"x".repeat(101), &"Ṕ".repeat(101), "a\0b", "a\nb", "a\u{85}b"] {
            assert!(UserName::parse(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_not_seen_or_hides_the_rest() {
        for text in [
            "\u{200b}",
            "\u{feff}",
            "\u{3164}",
            "\u{2800}",
            "\u{200d}\u{200b}",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\u{2066}b",
        ] {
            assert!(UserName::parse(text.to_owned()).is_err(), "{text:?}");
        }
        for text in ["علی\u{200c}رضا", "👩\u{200d}🚀", "ភាសា\u{200b}ខ្មែរ", "\u{200f}אבי Cohen"]
        {
            assert_eq!(UserName::parse(text.to_owned()).unwrap().as_str(), text);
        }
    }
}

//! Ids that users have elsewhere.

use super::FieldError;
use super::characters::is_control;

/// The key of a user in the system that the user came from: 1 to 255 characters, none of which is a control character.
/// Unique among all users that have one, and compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalId(String);

impl ExternalId {
    /// The longest id, in Unicode scalar values.
    pub const MAX_CHARS: usize = 255;

    /// Parses an id. Unlike a name it is not trimmed: another system may tell ids apart by their spaces.
    ///
    /// # Errors
    /// What is wrong with it, in words for the caller.
    pub fn parse(text: String) -> Result<Self, FieldError> {
        let error = |detail| Err(FieldError::new("external_id", detail));
        if text.is_empty() {
            return error("must not be empty");
        }
        if text.len() > Self::MAX_CHARS && text.chars().count() > Self::MAX_CHARS {
            return error("must have at most 255 characters");
        }
        if text.chars().any(is_control) {
            return error("must not contain control characters");
        }
        Ok(Self(text))
    }

    /// An id that was parsed before it was stored.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_kept_as_it_is() {
        for text in ["42", " a b ", "Ä", "auth0|5f7c8ec7c33c6c004bbafe82", &"Ṕ".repeat(255)] {
            assert_eq!(ExternalId::parse(text.to_owned()).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_is_empty_long_or_unprintable() {
        for text in ["", &"x".repeat(256), &"Ṕ".repeat(256), "a\0b", "a\nb", "a\u{202e}b"] {
            assert!(ExternalId::parse(text.to_owned()).is_err(), "{text:?}");
        }
    }
}

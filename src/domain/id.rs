//! Ids of users.

use std::fmt;

/// The number of a user: at least 1, assigned by the database, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(i64);

/// The value is not a whole number from 1 to 2^63 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user id is a whole number from 1 to 9223372036854775807")]
pub struct InvalidUserId;

impl UserId {
    /// Parses decimal digits, without sign or spaces.
    ///
    /// # Errors
    /// [`InvalidUserId`] for anything else, including 0.
    pub fn parse(text: &str) -> Result<Self, InvalidUserId> {
        // `i64::from_str` accepts a leading `+`, but an id must have only one spelling in a path.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidUserId);
        }
        text.parse().map_err(|_| InvalidUserId).and_then(Self::from_i64)
    }

    /// Parses a number.
    ///
    /// # Errors
    /// [`InvalidUserId`] for what is less than 1.
    pub const fn from_i64(id: i64) -> Result<Self, InvalidUserId> {
        if id > 0 { Ok(Self(id)) } else { Err(InvalidUserId) }
    }

    /// An id that the database assigned.
    #[must_use]
    pub const fn stored(id: i64) -> Self {
        Self(id)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_positive_numbers_only() {
        assert_eq!(UserId::parse("1"), Ok(UserId(1)));
        assert_eq!(UserId::parse("9223372036854775807"), Ok(UserId(i64::MAX)));
        for text in ["", "0", "-1", "+1", "abc", "1.0", " 1", "9223372036854775808"] {
            assert_eq!(UserId::parse(text), Err(InvalidUserId), "{text:?}");
        }
    }
}

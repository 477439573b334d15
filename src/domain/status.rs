//! Whether users are switched on.

use super::FieldError;

/// Whether a user is switched on. The service itself treats both alike: what a disabled user may not do is for its
/// callers to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Active,
    Disabled,
}

impl Status {
    /// Parses the status's name.
    ///
    /// # Errors
    /// What is wrong with it, in words for the caller.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            _ => Err(FieldError::new("status", Self::EXPECTED)),
        }
    }

    /// What a status must be, as a phrase.
    pub const EXPECTED: &str = "must be active or disabled";

    /// The status's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// As it is stored. Nothing, if it is the usual one: so it costs no space.
    #[must_use]
    pub const fn code(self) -> Option<i16> {
        match self {
            Self::Active => None,
            Self::Disabled => Some(1),
        }
    }

    /// The status that is stored so. A code that this release does not know is not an active user.
    #[must_use]
    pub const fn stored(code: Option<i16>) -> Self {
        match code {
            None => Self::Active,
            Some(_) => Self::Disabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_code_lead_back() {
        for status in [Status::Active, Status::Disabled] {
            assert_eq!(Status::parse(status.as_str()), Ok(status));
            assert_eq!(Status::stored(status.code()), status);
        }
        for text in ["", "Active", "deleted", " active"] {
            assert!(Status::parse(text).is_err(), "{text:?}");
        }
    }
}

use email_address::{EmailAddress, Options};

use super::{FieldError, Folded};

/// A syntactically valid email address (RFC 5321 mailbox, international ones too), at most 254 bytes, kept as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The longest address that SMTP can carry, in bytes (RFC 5321, with the erratum 1690).
    pub const MAX_BYTES: usize = 254;

    /// Parses an address: nothing around it, no display name, no address literal such as `user@[127.0.0.1]`.
    ///
    /// # Errors
    /// What is wrong with it, in words for the caller.
    pub fn parse(text: String) -> Result<Self, FieldError> {
        if text.len() > Self::MAX_BYTES {
            return Err(FieldError::new("email", "must have at most 254 bytes"));
        }
        let options = Options::default().without_display_text().without_domain_literal();
        if text.chars().any(char::is_control) || EmailAddress::parse_with_options(&text, options).is_err() {
            return Err(FieldError::new("email", "must be a valid email address"));
        }
        Ok(Self(text))
    }

    /// An address that was parsed before it was stored.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The address as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes an address unique.
    #[must_use]
    pub fn key(&self) -> Folded {
        Folded::new(&self.0)
    }

    /// The address as given.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(length: usize) -> String {
        let domain = format!("{}.{}.{}.example", "a".repeat(60), "b".repeat(60), "c".repeat(54));
        format!("{}@{domain}", "u".repeat(length - domain.len() - 1))
    }

    #[test]
    fn takes_addresses() {
        for text in ["a@b.co", "John.O'Neil+tag@Example.com", "élodie@exämple.fr", &address_of(240)] {
            assert_eq!(Email::parse(text.to_owned()).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_everything_else() {
        let texts = ["", "a", "@", "a@", "@b.co", "a b@c.de", "a@b@c.de", "a@b.co ", " a@b.co", "a\n@b.co", "a\0@b.co"];
        for text in texts.into_iter().chain(["Ann <ann@example.com>", "a@[127.0.0.1]", "a@-b.co", "a@b..co"]) {
            assert!(Email::parse(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn refuses_more_than_254_bytes() {
        let labels = format!("{0}.{0}.{0}.{0}.{0}", "a".repeat(60));
        let long = |length: usize| format!("u@{}", &labels[..length - 2]);
        assert!(Email::parse(long(254)).is_ok());
        assert_eq!(Email::parse(long(255)).unwrap_err().detail, "must have at most 254 bytes");
    }
}

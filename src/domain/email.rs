//! Email addresses.

use email_address::{EmailAddress, Options};

use super::characters::{is_invisible, is_joiner, joiners_are_seen};
use super::email_key::{domain_to_ascii, is_disguised};
use super::{EmailKey, FieldError};

/// A syntactically valid email address of at most 254 bytes, kept as given: a mailbox (RFC 5321 or RFC 6531) in a
/// domain of DNS (UTS 46), without invisible characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The longest address that SMTP can carry, in bytes (RFC 5321, with erratum 1690).
    pub const MAX_BYTES: usize = 254;

    /// Parses an address, without surrounding text, display name or address literal such as `user@[127.0.0.1]`.
    ///
    /// # Errors
    /// What is wrong with it, in words for the caller.
    pub fn parse(text: String) -> Result<Self, FieldError> {
        check_visible(&text)?;
        if is_mailbox(&text) && !is_disguised(&text) { Ok(Self(text)) } else { Err(not_valid()) }
    }

    /// Parses an address by which a user is looked up. Also accepts domains that DNS does not allow, such as
    /// `foo_bar.com`: earlier releases stored such addresses.
    ///
    /// # Errors
    /// What is wrong with it, in words for the caller.
    pub fn parse_to_find(text: &str) -> Result<EmailKey, FieldError> {
        check_visible(text)?;
        if is_mailbox(text) || was_valid_before(text) { Ok(EmailKey::of(text)) } else { Err(not_valid()) }
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

    /// The key that makes the address unique.
    #[must_use]
    pub fn key(&self) -> EmailKey {
        EmailKey::of(&self.0)
    }

    /// The address as given.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

fn not_valid() -> FieldError {
    FieldError::new("email", "must be a valid email address")
}

fn check_visible(text: &str) -> Result<(), FieldError> {
    if text.len() > Email::MAX_BYTES {
        return Err(FieldError::new("email", "must have at most 254 bytes"));
    }
    // A quoted local part may contain spaces.
    let is_hidden = |c: char| !c.is_ascii() && is_invisible(c) && !is_joiner(c);
    if !text.is_ascii() && (text.contains(is_hidden) || !joiners_are_seen(text)) {
        return Err(FieldError::new("email", "must not contain characters that are not seen"));
    }
    Ok(())
}

fn is_mailbox(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        EmailAddress::is_valid_local_part(local)
            && !local.contains(char::is_control)
            && domain_to_ascii(domain).is_some()
    })
}

/// Whether earlier releases stored such an address.
fn was_valid_before(text: &str) -> bool {
    let options = Options::default().without_display_text().without_domain_literal();
    !text.contains(char::is_control) && EmailAddress::parse_with_options(text, options).is_ok()
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
        for text in [
            "a@b.co",
            "John.O'Neil+tag@Example.com",
            "élodie@exämple.fr",
            "jose\u{301}@example.com",
            "हिन्दी@डाटामेल.भारत",
            "ผู้ใช้@ตัวอย่าง.ไทย",
            "பயனர்@உதாரணம்.இந்தியா",
            "ব্যবহারকারী@উদাহরণ.বাংলা",
            "អ្នកប្រើ@example.com",
            "می\u{200c}خواهم@example.com",
            "a@r3---sn-apo3qvuoxuxbt-j5pe.example.com",
            &address_of(240),
        ] {
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
    fn refuses_what_only_stands_for_an_address_in_ascii() {
        for text in ["a@ｅxample.com", "a@example。com", "a@ℂ.de", "`@x.de".replace('`', "\u{1fef}").as_str()] {
            assert!(Email::parse(text.to_owned()).is_err(), "{text:?}");
            assert!(Email::parse_to_find(text).is_ok(), "{text:?}");
        }
        assert!(Email::parse("\"a b\"@münchen.de".into()).is_ok());
    }

    #[test]
    fn refuses_what_is_not_seen() {
        for c in "\u{200b}\u{200d}\u{202e}\u{a0}\u{ad}\u{feff}\u{3164}\u{2028}\u{2800}\u{fe0f}".chars() {
            for text in [format!("a{c}b@x.de"), format!("a@x{c}y.de"), format!("é{c}@x.de")] {
                assert!(Email::parse(text.clone()).is_err(), "{text:?}");
            }
        }
    }

    #[test]
    fn refuses_domains_that_dns_does_not_have() {
        for domain in
            ["x?y.de", "x/y.de", "x!y.de", "x#y.de", "x%y.de", "x_y.de", "x&y.de", "xn--a.de", "xn--.de", "-x.de"]
        {
            assert!(Email::parse(format!("a@{domain}")).is_err(), "{domain}");
        }
        for domain in ["x.de.", "\u{301}x.de", "a\u{200c}b.de", &format!("{}.de", "ü".repeat(60))] {
            assert!(Email::parse(format!("a@{domain}")).is_err(), "{domain}");
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

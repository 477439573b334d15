//! The keys by which addresses are unique and looked up.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::Folded;

/// The key of an address: two addresses with the same key are the same address. docs/api.md describes it for users.
///
/// - The domain is as in DNS: UTS 46, non-transitional. So `münchen.de` is `xn--mnchen-3ya.de`, and `faß.de` is not
///   `fass.de`.
/// - The local part is in NFC, with each capital letter replaced by its small letter (Unicode's simple mapping). It is
///   not folded: to a mail server, `ß` and `ss`, or `ﬁ` and `fi`, are different mailboxes, and one must not answer for
///   the other.
///
/// Earlier releases used another key, the *legacy key* ([`Folded`]), which their replicas still ask for. It is the
/// column `email_key`; this key is the column `address_key`. An ASCII address has one key for both, unless DNS has its
/// domain for an internationalized one. Such a key is *plain*, and its `address_key` is NULL.
#[derive(Clone, Debug)]
pub struct EmailKey {
    key: String,
    /// The legacy key. `None` if the key is plain.
    folded: Option<Folded>,
}

impl EmailKey {
    /// The key of an address, including those that only an earlier release accepted.
    pub(super) fn of(address: &str) -> Self {
        let key = new_key(address);
        let is_ascii_only = is_ascii_only(&key);
        if is_ascii_only && address.is_ascii() {
            return Self { key, folded: None };
        }
        let folded = Folded::legacy(address);
        if !is_ascii_only {
            return Self { key, folded: Some(folded) };
        }
        if folded.as_str() == key {
            return Self { key, folded: None };
        }
        // The text is not ASCII but stands for an ASCII address, which is rejected now. It keeps its legacy key: an
        // ASCII address has only a legacy key, and no index compares that with address keys.
        Self { key: folded.as_str().to_owned(), folded: Some(folded) }
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.key
    }

    /// The key.
    #[must_use]
    pub fn into_string(self) -> String {
        self.key
    }

    /// The key by which earlier releases know the address: the column `email_key`.
    #[must_use]
    pub fn legacy(&self) -> &str {
        self.folded.as_ref().map_or(&self.key, Folded::as_str)
    }

    /// The column `address_key`: the key, or `None` if it is plain.
    #[must_use]
    pub fn address_key(&self) -> Option<&str> {
        (!self.is_plain()).then_some(&*self.key)
    }

    /// Whether the key is also the legacy key, and that of an ASCII address.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.folded.is_none()
    }
}

/// Whether a text that is not ASCII stands for an ASCII address, such as `a@ｅxample.com`. No mail server knows such a
/// domain.
pub(super) fn is_disguised(address: &str) -> bool {
    // Most addresses are ASCII, and to fold one takes longer than all else that is checked.
    if address.is_ascii() {
        return false;
    }
    let key = new_key(address);
    is_ascii_only(&key) && Folded::legacy(address).as_str() != key
}

fn new_key(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let domain = domain_to_ascii(domain).unwrap_or_else(|| small_letters(domain));
    [&small_letters(local), "@", &domain].concat()
}

fn is_ascii_only(key: &str) -> bool {
    key.is_ascii() && !has_a_label(key)
}

/// The domain as in DNS. `None` if it is not a domain (RFC 5321, UTS 46 with the rules of STD 3, labels of at most 63
/// bytes).
pub(super) fn domain_to_ascii(domain: &str) -> Option<Cow<'_, str>> {
    // Real host names have hyphens in the third and fourth position.
    let hyphens = Hyphens::CheckFirstLast;
    Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, hyphens, DnsLength::Verify).ok()
}

/// Whether the domain has a label of an internationalized domain (`xn--`).
fn has_a_label(address: &str) -> bool {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    domain.split('.').any(|label| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--")))
}

/// Normalizes to NFC, and replaces capital letters by small letters.
fn small_letters(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        let has_capitals = text.bytes().any(|byte| byte.is_ascii_uppercase());
        return if has_capitals { text.to_ascii_lowercase().into() } else { text.into() };
    }
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    let small: String = nfc.normalize(text).chars().map(small_letter).collect();
    // The small letter and its accent may compose to one character even if the capital letter and the accent do not.
    nfc.normalize(&small).into_owned().into()
}

/// Turkish dotted capital I and the capital theta symbol are kept: their simple mappings, `i` and `θ`, are the small
/// letters of other capitals.
fn small_letter(c: char) -> char {
    if matches!(c, 'İ' | 'ϴ') { c } else { CaseMapper::new().simple_lowercase(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> String {
        EmailKey::of(address).key
    }

    #[test]
    fn one_mailbox_has_one_key() {
        for (one, other) in [
            ("John@X.com", "jOHN@x.COM"),
            ("b@münchen.de", "B@XN--MNCHEN-3YA.de"),
            ("b@MÜNCHEN.de", "b@mu\u{308}nchen.de"),
            ("josé@x.de", "jose\u{301}@x.de"),
            ("ÉLODIE@x.fr", "élodie@x.fr"),
            // A capital J with a caron is two characters, a small one is one.
            ("J\u{30c}@x.de", "ǰ@x.de"),
            ("почта@пример.рф", "ПОЧТА@XN--E1AFMKFD.xn--p1ai"),
        ] {
            assert_eq!(key(one), key(other));
        }
    }

    #[test]
    fn look_alikes_have_keys_of_their_own() {
        for (one, other) in [
            ("info@faß.de", "info@fass.de"),
            ("ofﬁce@x.de", "office@x.de"),
            ("straße@x.de", "strasse@x.de"),
            ("İnfo@x.de", "info@x.de"),
            ("ınfo@x.de", "info@x.de"),
            ("ſam@x.de", "sam@x.de"),
            ("ϕ@x.de", "φ@x.de"),
            ("νίκος@x.gr", "νίκοσ@x.gr"),
            ("аnna@x.de", "anna@x.de"),
            ("ϴ@x.gr", "θ@x.gr"),
            ("a@ｅxample.com", "a@example.com"),
            ("a@βόλος.com", "a@βόλοσ.com"),
        ] {
            assert_ne!(key(one), key(other));
        }
    }

    #[test]
    fn what_ascii_has_is_plain_unless_it_stands_for_more() {
        for address in ["Ann@Example.com", "\u{212a}@x.de", "a.xn--b@x.de", "\"a b\"@x.de", "a@foo_bar.de"] {
            let key = EmailKey::of(address);
            assert!(key.is_plain() && key.legacy() == key.as_str(), "{address}");
        }
        for (address, older) in
            [("info@faß.de", "info@fass.de"), ("É@x.fr", "é@x.fr"), ("B@XN--MNCHEN-3YA.de", "b@xn--mnchen-3ya.de")]
        {
            let key = EmailKey::of(address);
            assert!(!key.is_plain() && key.legacy() == older, "{address}");
        }
    }
}

//! Page tokens: where the next page of a list starts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Error, ExternalId, Filter, Last, Order, OrderBy, Status, UserId};

/// The position after which the next page starts: the id of the last user, and its key if the list is ordered by another
/// one.
///
/// The text is opaque and URL-safe: base64url of a format byte, the id, the key, and a checksum over these, the filters and
/// the order. It contains all that the next page needs, so it works on every replica and after a restart. The checksum is
/// no signature: a forged token shows nothing that the list would not show anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken(pub Last);

/// Changes with the layout, so that tokens of other releases are rejected instead of misread.
const FORMAT: u8 = 1;
const ID: usize = size_of::<i64>();
const CHECKSUM: usize = size_of::<u32>();

impl PageToken {
    /// The token's text.
    #[must_use]
    pub fn encode(&self, filter: &Filter) -> String {
        let Last { id, key } = &self.0;
        let key = key.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(1 + ID + key.len() + CHECKSUM);
        bytes.push(FORMAT);
        bytes.extend(id.get().to_be_bytes());
        bytes.extend(key.as_bytes());
        bytes.extend(checksum(&bytes, filter).to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Parses a token.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`] if the token is damaged, or was made for other filters or in another format.
    pub fn decode(text: &str, filter: &Filter) -> Result<Self, Error> {
        Self::read(text, filter).ok_or(Error::InvalidPageToken)
    }

    fn read(text: &str, filter: &Filter) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (content, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
        if *sum != checksum(content, filter).to_be_bytes() {
            return None;
        }
        let (&FORMAT, rest) = content.split_first()? else {
            return None;
        };
        let (id, key) = rest.split_first_chunk::<ID>()?;
        // PostgreSQL accepts no NUL in a text, and no key contains one, so this token was forged.
        let key = std::str::from_utf8(key).ok().filter(|key| !key.contains('\0'))?;
        let id = i64::from_be_bytes(*id);
        let id = (id > 0).then(|| UserId::stored(id))?;
        Some(Self(Last { id, key: (filter.order().by != OrderBy::Id).then(|| key.to_owned()) }))
    }
}

fn checksum(content: &[u8], filter: &Filter) -> u32 {
    let email = filter.email.as_ref().map(super::EmailKey::as_str);
    let prefix = filter.name_prefix.as_ref().map(|prefix| prefix.key().as_str());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(content);
    for part in [email, prefix] {
        // Bytes that occur in no UTF-8 text distinguish a missing filter from an empty one, and separate the filters.
        hasher.update(if part.is_some() { &[0xff] } else { &[0xfe] });
        hasher.update(part.unwrap_or_default().as_bytes());
    }
    // A token without these is the same as in earlier releases.
    let usual = Filter { order: None, ..filter.clone() }.order();
    let order = Some(filter.order()).filter(|order| *order != usual).map(Order::as_str);
    let external_id = filter.external_id.as_ref().map(ExternalId::as_str);
    for (name, part) in [(0xfd, external_id), (0xfc, filter.status.map(Status::as_str)), (0xfb, order)] {
        if let Some(part) = part {
            hasher.update(&[name]);
            hasher.update(part.as_bytes());
        }
    }
    for attribute in &filter.attributes {
        hasher.update(&[0xfa]);
        hasher.update(attribute.name.as_str().as_bytes());
        hasher.update(&[0xf9]);
        hasher.update(attribute.value().as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AttributeFilter, AttributeName, NamePrefix};

    fn by_name(prefix: &str) -> Filter {
        Filter { name_prefix: Some(NamePrefix::parse(prefix).unwrap()), ..Filter::default() }
    }

    fn ordered(order: &str) -> Filter {
        Filter { order: Some(Order::parse(order).unwrap()), ..Filter::default() }
    }

    fn token(key: Option<&str>) -> PageToken {
        PageToken(Last { id: UserId::stored(42), key: key.map(str::to_owned) })
    }

    #[test]
    fn comes_back_with_its_own_filters() {
        for (token, filter) in [
            (token(None), Filter::default()),
            (token(Some("ada")), by_name("A")),
            (token(None), ordered("-id")),
            (token(Some("a@b.co")), ordered("email")),
        ] {
            assert_eq!(PageToken::decode(&token.encode(&filter), &filter), Ok(token));
        }
    }

    #[test]
    fn belongs_to_its_filters() {
        let text = token(None).encode(&Filter::default());
        let with_status = |status| Filter { status: Some(status), ..Filter::default() };
        let (active, disabled) = (with_status(Status::Active), with_status(Status::Disabled));
        let named = AttributeName::parse("a").unwrap();
        let attributes = AttributeFilter::parse_all([("a".to_owned(), "b".to_owned())], &[named]).unwrap();
        let with_attribute = Filter { attributes, ..Filter::default() };
        for other in [by_name(""), by_name("a"), active, disabled, with_attribute, ordered("-id"), ordered("name")] {
            assert_eq!(PageToken::decode(&text, &other), Err(Error::InvalidPageToken));
        }
    }

    #[test]
    fn is_the_same_if_the_usual_order_is_asked_for() {
        for (usual, order) in [(Filter::default(), "id"), (by_name("a"), "name")] {
            let asked = Filter { order: Some(Order::parse(order).unwrap()), ..usual.clone() };
            assert_eq!(token(None).encode(&usual), token(None).encode(&asked));
        }
    }

    #[test]
    fn is_refused_with_an_id_that_no_user_has() {
        for id in [0, -1, i64::MIN] {
            let text = PageToken(Last { id: UserId::stored(id), key: None }).encode(&Filter::default());
            assert_eq!(PageToken::decode(&text, &Filter::default()), Err(Error::InvalidPageToken), "{id}");
        }
    }

    #[test]
    fn is_refused_with_any_character_changed_or_cut() {
        let filter = by_name("a");
        let text = token(Some("ada")).encode(&filter);
        for at in 0..text.len() {
            assert!(PageToken::decode(&text[..at], &filter).is_err());
            for other in "Aa0_-".chars().filter(|&other| !text[at..].starts_with(other)) {
                let damaged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                assert!(PageToken::decode(&damaged, &filter).is_err(), "{damaged}");
            }
        }
    }
}

//! Idempotency keys: a write that carries one is executed once, however often it is sent (IETF draft "The
//! Idempotency-Key HTTP Header Field").

use sha2::{Digest as _, Sha256};

/// What a caller calls one write, so that it can send it again: a key, bound to the caller and to the route.
///
/// Boxed, like [`Once`]: few requests have one, and all would carry its bytes from place to place.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Box<Bound>);

#[derive(Clone, Debug)]
struct Bound {
    id: Vec<u8>,
    route: Fingerprint,
}

/// A write that is executed once. Another write with the same id is either the same or a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once(Box<(Vec<u8>, [u8; 32])>);

impl Once {
    /// The caller and the key. Not a hash of both: keys that a caller makes in ascending order then lie side by side in
    /// the database's index, and a batch of them is on few of its pages.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.0.0
    }

    /// Of what was asked for. It tells a repetition from another request with the same key.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.0.1
    }
}

/// A key that is not a string of 1 to 255 visible ASCII characters, or more than one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    const MAX_LENGTH: usize = 255;

    /// Parses the values of a request's `Idempotency-Key`: one string, quoted (RFC 8941, 3.3.3) or bare. The quotes do
    /// not count. `caller` identifies the caller at every replica.
    ///
    /// # Errors
    /// When they are not one key.
    pub fn parse<'a>(
        mut values: impl Iterator<Item = &'a [u8]>,
        caller: &[u8; 32],
        route: &str,
    ) -> Result<Option<Self>, InvalidIdempotencyKey> {
        let key = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some([b'"', quoted @ .., b'"']), None) => unescaped(quoted),
            (Some([b'"', ..]), None) | (Some(_), Some(_)) => None,
            (Some(bare), None) => Some(bare.to_vec()),
        };
        let is_valid =
            |key: &Vec<u8>| (1..=Self::MAX_LENGTH).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        let key = key.filter(is_valid).ok_or(InvalidIdempotencyKey)?;
        let id = [caller.as_slice(), &key].concat();
        Ok(Some(Self(Box::new(Bound { id, route: Fingerprint::default().text(Some(route)) }))))
    }

    /// The write that this key was sent with. `what` adds all that was asked for.
    #[must_use]
    pub fn once(self, what: impl FnOnce(Fingerprint) -> Fingerprint) -> Once {
        let Bound { id, route } = *self.0;
        Once(Box::new((id, what(route).0.finalize().into())))
    }

    /// The writes of the batch that this key was sent with. `what` adds all that was asked for.
    #[must_use]
    pub fn once_each(self, what: impl FnOnce(Fingerprint) -> Fingerprint) -> OnceEach {
        let Bound { mut id, route } = *self.0;
        // No key contains it: so none is mistaken for a write of a batch.
        id.push(0);
        OnceEach { id, fingerprint: what(route).0.finalize().into() }
    }
}

/// The writes of one batch. Each is executed once; all have the fingerprint of the whole batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceEach {
    id: Vec<u8>,
    fingerprint: [u8; 32],
}

impl OnceEach {
    /// The write at this place of the batch.
    #[must_use]
    pub fn at(&self, place: usize) -> Once {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        Once(Box::new(([self.id.as_slice(), &place.to_be_bytes()].concat(), self.fingerprint)))
    }

    /// Of the whole batch.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The ids of all writes that any batch with this key has: from the first up to, but not including, the second.
    #[must_use]
    pub fn ids(&self) -> (Vec<u8>, Vec<u8>) {
        let mut end = self.id.clone();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        (self.id.clone(), end)
    }
}

/// A hash of what was asked for: of values after they were parsed, not of the bytes that arrived.
#[derive(Clone, Debug, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a text, or that there is none.
    #[must_use]
    pub fn text(self, text: Option<&str>) -> Self {
        // The length keeps two texts apart.
        let length = text.map_or(-1, |text| i64::try_from(text.len()).unwrap_or(i64::MAX));
        Self(self.number(length).0.chain_update(text.unwrap_or_default()))
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, number: i64) -> Self {
        Self(self.0.chain_update(number.to_be_bytes()))
    }
}

/// Resolves the escapes of a quoted string. `None` where a backslash escapes anything else, or a quote stands alone.
fn unescaped(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = quoted.iter().copied();
    let mut key = Vec::with_capacity(quoted.len());
    while let Some(byte) = bytes.next() {
        key.push(match byte {
            b'\\' => bytes.next().filter(|escaped| matches!(escaped, b'"' | b'\\'))?,
            b'"' => return None,
            byte => byte,
        });
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: [u8; 32] = [7; 32];

    fn parse(values: &[&str]) -> Result<Option<Vec<u8>>, InvalidIdempotencyKey> {
        let values = values.iter().map(|value| value.as_bytes());
        Ok(IdempotencyKey::parse(values, &CALLER, "POST /users")?.map(|key| key.0.id))
    }

    #[test]
    fn a_key_is_one_string_quoted_or_bare() {
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&["abc"]), parse(&["\"abc\""]));
        assert_eq!(parse(&["a\"b\\"]), parse(&["\"a\\\"b\\\\\""]));
        assert!(parse(&[&"x".repeat(255)]).is_ok() && parse(&[&format!("\"{}\"", "x".repeat(255))]).is_ok());
        let long = "x".repeat(256);
        for values in [
            &[""][..],
            &["\"\""],
            &["\""],
            &["\"abc"],
            &["\"a\"b\""],
            &["\"a\\b\""],
            &["\"a\\\""],
            &["a b"],
            &["\"a b\""],
            &["a\tb"],
            &["\u{e9}"],
            &["\"abc\";p=1"],
            &["a", "a"],
            &[&long],
        ] {
            assert_eq!(parse(values), Err(InvalidIdempotencyKey), "{values:?}");
        }
    }

    #[test]
    fn callers_do_not_share_keys() {
        let id = |caller| IdempotencyKey::parse([&b"abc"[..]].into_iter(), &caller, "").unwrap().unwrap().0.id;
        assert_ne!(id([1; 32]), id([2; 32]));
    }

    #[test]
    fn all_that_was_asked_for_counts() {
        let once = |route, what: fn(Fingerprint) -> Fingerprint| {
            let key = IdempotencyKey::parse([&b"abc"[..]].into_iter(), &CALLER, route).unwrap().unwrap();
            *key.once(what).fingerprint()
        };
        let all = [
            once("a", |what| what.text(Some("x")).text(Some("y"))),
            once("b", |what| what.text(Some("x")).text(Some("y"))),
            once("a", |what| what.text(Some("xy")).text(Some(""))),
            once("a", |what| what.text(Some("x")).text(None)),
            once("a", |what| what.text(Some("x")).text(Some(""))),
            once("a", |what| what.text(Some("x")).text(Some("y")).number(1)),
            once("a", |what| what.number(1)),
        ];
        assert_eq!(std::collections::HashSet::from(all).len(), all.len());
        assert_eq!(once("a", |what| what.number(1)), once("a", |what| what.number(1)));
    }
}

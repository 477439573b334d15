use std::fmt;

use uuid::Uuid;

/// Identifies a request in every service it passes through. Copying it does not allocate.
#[derive(Clone, Copy)]
pub struct RequestId {
    bytes: [u8; Self::MAX_LENGTH],
    length: u8,
}

impl RequestId {
    /// The longest id that is accepted from a caller, in bytes.
    pub const MAX_LENGTH: usize = 64;

    /// Parses an id of letters, digits, `.`, `_` and `-`. `None` for anything else: the id is echoed and logged, and
    /// these characters can break neither a header nor a log.
    #[must_use]
    pub fn parse(id: &[u8]) -> Option<Self> {
        let is_sane = id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        let length = u8::try_from(id.len()).ok().filter(|length| *length > 0 && is_sane)?;
        let mut bytes = [0; Self::MAX_LENGTH];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { bytes, length })
    }

    /// Generates a random UUID (RFC 9562).
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; Self::MAX_LENGTH];
        // Hexadecimal digits are always a valid id.
        let digits = Uuid::new_v4().simple().encode_lower(&mut bytes).len();
        Self { bytes, length: u8::try_from(digits).unwrap_or_default() }
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let id = self.bytes.get(..self.length.into()).unwrap_or_default();
        std::str::from_utf8(id).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_with_unsafe_characters_are_rejected() {
        assert_eq!(RequestId::parse(b"a.B_9-").unwrap().as_str(), "a.B_9-");
        assert_eq!(RequestId::parse(&[b'a'; 64]).unwrap().as_str().len(), 64);
        for id in [&b""[..], b"a b", b"a\nb", b"\"", "\u{e4}".as_bytes(), &[b'a'; 65], &[b'a'; 300]] {
            assert!(RequestId::parse(id).is_none(), "{id:?}");
        }
    }
}

//! Case folding of names, and of addresses as earlier releases did it.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// A text with its case folded (Unicode full case folding), in NFC. Two texts that differ only in case, or in whether
/// accents are separate characters, have the same folded text (a canonical caseless match, The Unicode Standard, D145).
///
/// It is computed here and stored, because databases fold differently: SQLite folds only ASCII, and PostgreSQL as the
/// locale of its cluster says. Folding proceeds character by character, so the folded prefix is a prefix of the folded
/// text, unless the prefix ends between a letter and its accent. `str::to_lowercase` would break this: it looks at the
/// neighbours of a final sigma.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(String);

impl Folded {
    /// Folds a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.is_ascii() {
            return Self(text.to_ascii_lowercase());
        }
        let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(text);
        let folded = CaseMapper::new().fold_string(&decomposed);
        Self(ComposingNormalizerBorrowed::new_nfc().normalize(&folded).into_owned())
    }

    /// Folds a text without normalizing it, as earlier releases did: texts that differ in whether accents are separate
    /// characters have different results.
    #[must_use]
    pub fn legacy(text: &str) -> Self {
        Self(CaseMapper::new().fold_string(text).into_owned())
    }

    /// The prefixes of keys that [`legacy`](Self::legacy) has made of texts with this prefix, other than the prefix's
    /// own key: with accents as separate characters, and without.
    #[must_use]
    pub fn legacy_prefixes(prefix: &str) -> Vec<Self> {
        if prefix.is_ascii() {
            return Vec::new();
        }
        let (key, mut legacy) = (Self::new(prefix), Vec::new());
        for form in [
            Cow::Borrowed(prefix),
            ComposingNormalizerBorrowed::new_nfc().normalize(prefix),
            DecomposingNormalizerBorrowed::new_nfd().normalize(prefix),
        ] {
            let folded = Self::legacy(&form);
            if folded != key && !legacy.contains(&folded) {
                legacy.push(folded);
            }
        }
        legacy
    }

    /// A text that was folded before it was stored.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folded text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    /// The first text in byte order after all texts with this prefix. `None` if there is no such text.
    #[must_use]
    pub fn end_of_prefix(&self) -> Option<String> {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            // The next scalar value: the step from U+D7FF skips the surrogates.
            if let Some(next) = (last..=char::MAX).nth(1) {
                end.push(next);
                return Some(end);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Folded {
        Folded::new(text)
    }

    #[test]
    fn ignores_case_beyond_ascii() {
        for (one, other) in
            [("John@X.com", "jOHN@x.COM"), ("ÉLODIE", "élodie"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("Straße", "STRASSE")]
        {
            assert_eq!(folded(one), folded(other));
        }
    }

    #[test]
    fn keeps_prefixes() {
        let whole = "ΑΣΑ Σ";
        for (end, _) in whole.char_indices() {
            assert!(folded(whole).as_str().starts_with(folded(&whole[..end]).as_str()));
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_just_beyond_it() {
        assert_eq!(folded("ab").end_of_prefix().unwrap(), "ac");
        assert_eq!(folded("a\u{d7ff}").end_of_prefix().unwrap(), "a\u{e000}");
        assert_eq!(folded("a\u{10ffff}").end_of_prefix().unwrap(), "b");
        assert_eq!(folded("\u{10ffff}").end_of_prefix(), None);
        assert_eq!(folded("").end_of_prefix(), None);
    }
}

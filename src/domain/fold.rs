use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// A text with its case folded (Unicode full case folding), in NFC: two texts that differ only in case, or in whether accents
/// are characters of their own, have the same one (a canonical caseless match, The Unicode Standard, D145).
///
/// It is computed here and stored, because the databases fold differently: SQLite knows ASCII only, PostgreSQL what the
/// locale of its cluster says. Folding goes character by character, so that the fold of a prefix is a prefix of the fold,
/// unless the prefix ends between a letter and its accent; `str::to_lowercase` would not do, it looks at the neighbours of a
/// final sigma.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// Folds a text as releases did that did not compose: two texts that differ in whether accents are characters of their own
    /// have different ones.
    #[must_use]
    pub fn legacy(text: &str) -> Self {
        Self(CaseMapper::new().fold_string(text).into_owned())
    }

    /// What the keys of texts with this prefix start with that [`legacy`](Self::legacy) has made,
    /// if not with its key: as it is written with accents of their own, and without.
    #[must_use]
    pub fn legacy_prefixes(prefix: &str) -> Vec<Self> {
        if prefix.is_ascii() {
            return Vec::new();
        }
        let (key, mut older) = (Self::new(prefix), Vec::new());
        for form in [
            Cow::Borrowed(prefix),
            ComposingNormalizerBorrowed::new_nfc().normalize(prefix),
            DecomposingNormalizerBorrowed::new_nfd().normalize(prefix),
        ] {
            let folded = Self::legacy(&form);
            if folded != key && !older.contains(&folded) {
                older.push(folded);
            }
        }
        older
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

    /// The first text in byte order that comes after every text with this prefix; `None` when all texts from here on
    /// have it.
    #[must_use]
    pub fn end_of_prefix(&self) -> Option<String> {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            // The next scalar value: a step from U+D7FF skips the surrogates.
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

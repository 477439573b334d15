use std::borrow::Cow;

use icu_casemap::CaseMapper;

/// A text with its case folded (Unicode full case folding): two texts that differ only in case have the same one.
///
/// It is computed here and stored, because the databases fold differently: SQLite knows ASCII only, PostgreSQL what the
/// locale of its cluster says. Folding goes character by character, so that the fold of a prefix is a prefix of the fold;
/// `str::to_lowercase` would not do, it looks at the neighbours of a final sigma.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(String);

impl Folded {
    /// Folds a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.is_ascii() {
            return Self(text.to_ascii_lowercase());
        }
        Self(match CaseMapper::new().fold_string(text) {
            Cow::Borrowed(same) => same.to_owned(),
            Cow::Owned(folded) => folded,
        })
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

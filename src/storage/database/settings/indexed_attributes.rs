//! The attributes by which lists can be filtered.

use std::collections::BTreeSet;
use std::ops::Deref;

use crate::domain::AttributeName;

/// The attributes that have an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexedAttributes(Vec<AttributeName>);

impl IndexedAttributes {
    /// What the names must be, in words for the operator.
    pub const EXPECTED: &str =
        "names of attributes between commas: at most 16, each once, of 1 to 40 letters of ASCII, digits, _ and -";
    /// Each costs every write of a user who has it.
    const MAX: usize = 16;

    /// Parses names between commas.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        let parsed: BTreeSet<AttributeName> =
            names.iter().map(|name| AttributeName::parse(name)).collect::<Option<_>>()?;
        (parsed.len() == names.len() && names.len() <= Self::MAX).then(|| Self(parsed.into_iter().collect()))
    }
}

impl Deref for IndexedAttributes {
    type Target = [AttributeName];

    fn deref(&self) -> &[AttributeName] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_between_commas() {
        let parse = |text: &str| Some(Vec::from_iter(IndexedAttributes::parse(text)?.iter().map(ToString::to_string)));
        assert_eq!(parse("b, a-1"), Some(vec!["a-1".to_owned(), "b".to_owned()]));
        for text in ["", "a,", "a,,b", "a,a", "a b", "a.b"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let names = |count| Vec::from_iter((0..count).map(|n| format!("a{n}"))).join(",");
        assert!(parse(&names(16)).is_some());
        assert_eq!(parse(&names(17)), None);
    }
}

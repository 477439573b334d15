//! Query strings. A parameter that nobody knows is refused: a misspelt filter that is ignored lists everybody.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::failure::Failure;

/// The parameters of a query string, each at most once.
pub(super) struct Parameters<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Parameters<'a> {
    /// Splits a query string.
    ///
    /// # Errors
    /// When it holds a parameter that is not among the known ones, or one of them twice, or bytes that are no text.
    pub(super) fn parse(query: &'a str, known: &[&str]) -> Result<Self, Failure> {
        let mut pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| invalid(name, NO_TEXT))?;
            let value = decode(value).ok_or_else(|| invalid(&name, NO_TEXT))?;
            if !known.contains(&&*name) {
                return Err(invalid(&name, "is not known here"));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(invalid(&name, "is given more than once"));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// A parameter that is a whole number from 1 up; one beyond 2^64 counts as the largest there is.
    pub(super) fn positive(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().unwrap_or(u64::MAX) } else { 0 };
        if number == 0 { Err(invalid(name, "must be a whole number from 1 up")) } else { Ok(Some(number)) }
    }

    /// A parameter that is `true` or `false`; false when it is missing.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(name, "must be true or false")),
        }
    }
}

const NO_TEXT: &str = "must be UTF-8, percent-encoded";

/// A name or a value as it was before a form wrote it (WHATWG URL, 5.1). `None` when that was no text: read as U+FFFD, it would
/// be another one than was meant.
fn decode(written: &str) -> Option<Cow<'_, str>> {
    if written.contains('+') {
        let spaced = written.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned().into());
    }
    percent_decode_str(written).decode_utf8().ok()
}

/// What is wrong with a parameter.
pub(super) fn invalid(parameter: &str, detail: &'static str) -> Failure {
    // The name may be a stranger's: as much of it as any real one has is enough to find it again.
    Failure::InvalidQuery { parameter: parameter.chars().take(32).collect(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positive(text: &str) -> Option<u64> {
        Parameters::parse(text, &["n"]).unwrap().positive("n").unwrap()
    }

    #[test]
    fn numbers_are_digits_and_saturate() {
        assert_eq!(
            (positive(""), positive("n=7"), positive("n=99999999999999999999")),
            (None, Some(7), Some(u64::MAX))
        );
        for text in ["n=0", "n=-1", "n=", "n=1.5", "n=+1", "n=abc"] {
            assert!(Parameters::parse(text, &["n"]).unwrap().positive("n").is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_form_writes_is_read() {
        let query = Parameters::parse("&n=%C3%A9+%2B%26=%3D&&", &["n"]).unwrap();
        assert_eq!(query.text("n"), Some("é +&=="));
        assert_eq!(Parameters::parse("%6e", &["n"]).unwrap().text("n"), Some(""));
        for text in ["n=%ff", "n=%C3", "n=+%80", "%ff=1", "%ff"] {
            assert!(Parameters::parse(text, &["n"]).is_err(), "{text}");
        }
    }

    #[test]
    fn strangers_and_twins_are_refused() {
        assert!(Parameters::parse("m=1", &["n"]).is_err());
        assert!(Parameters::parse("n=1&n=1", &["n"]).is_err());
    }
}

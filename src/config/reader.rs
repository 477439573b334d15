//! Reads single variables. Collects their effective values and all mistakes.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A variable with an invalid value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value}: takes {expected}")]
pub struct Mistake {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) expected: Cow<'static, str>,
}

/// The variable has an invalid value, and the mistake was recorded.
#[derive(Debug)]
pub(super) struct Wrong;

/// The longest duration that a variable may set.
const MAX_DURATION: Duration = Duration::from_hours(1);

/// Reads variables one by one.
pub(super) struct Reader<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(super) mistakes: Vec<Mistake>,
    /// The effective values, without secrets.
    pub(super) effective: Vec<(&'static str, String)>,
}

impl Reader<'_> {
    pub(super) fn count(&mut self, name: &'static str, default: &str, max: usize) -> Option<usize> {
        let parse = |text: &str| text.parse().ok().map(NonZeroUsize::get).filter(|count| *count <= max);
        self.value(name, default, format!("a whole number from 1 to {max}"), parse)
    }

    pub(super) fn duration(&mut self, name: &'static str, default: &str) -> Option<Duration> {
        let bounds = Duration::from_millis(1)..=MAX_DURATION;
        let expected = "a duration from 1ms to 1h, such as 500ms or 2s";
        self.value(name, default, expected, |text| duration(text).filter(|it| bounds.contains(it)))
    }

    pub(super) fn delay(&mut self, name: &'static str, default: &str) -> Option<Duration> {
        let expected = "a duration from 0s to 1h, such as 500ms or 2s";
        self.value(name, default, expected, delay)
    }

    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: &str,
        expected: impl Into<Cow<'static, str>>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.text(name).ok()?.unwrap_or_else(|| default.to_owned());
        self.parse(name, value, expected, parse)
    }

    /// Like [`Self::value`], ignoring case. `parse` gets the value in lower case.
    pub(super) fn word<T>(
        &mut self,
        name: &'static str,
        default: &str,
        expected: impl Into<Cow<'static, str>>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.text(name).ok()?.map_or_else(|| default.to_owned(), |text| text.to_ascii_lowercase());
        self.parse(name, value, expected, parse)
    }

    fn parse<T>(
        &mut self,
        name: &'static str,
        value: String,
        expected: impl Into<Cow<'static, str>>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(&value);
        if parsed.is_some() {
            self.effective.push((name, value));
        } else {
            self.mistakes.push(Mistake { name, value, expected: expected.into() });
        }
        parsed
    }

    /// Reads an optional text of any content.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        let value = self.text(name).ok()??;
        self.effective.push((name, value.clone()));
        Some(value)
    }

    pub(super) fn mistake<T>(
        &mut self,
        name: &'static str,
        value: &str,
        expected: impl Into<Cow<'static, str>>,
    ) -> Option<T> {
        self.mistakes.push(Mistake { name, value: value.to_owned(), expected: expected.into() });
        None
    }

    /// Records a mistake unless `holds`: variables that are valid by themselves may not go together.
    pub(super) fn require(&mut self, holds: bool, name: &'static str, expected: &'static str) -> Option<()> {
        if !holds {
            let value = self.effective.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
            self.mistakes.push(Mistake { name, value: value.unwrap_or_default(), expected: expected.into() });
        }
        holds.then_some(())
    }

    /// The raw value. `None` if the variable is not set.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Wrong> {
        let Some(text) = (self.lookup)(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let Some(expected) = writing_slip(&text) else { return Ok(Some(text)) };
        // The value may be secret.
        self.mistakes.push(Mistake { name, value: "***".to_owned(), expected: expected.into() });
        Err(Wrong)
    }
}

/// Detects characters that belong to how a value was written, and not to the value. Guessing would be wrong: with or
/// without them, a path or a secret is a different one. Also detects the content of a file in place of its path.
/// Returns what is expected instead.
fn writing_slip(text: &str) -> Option<&'static str> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    let is_blank = |character: char| character.is_whitespace() || character == BYTE_ORDER_MARK;
    let is_between = |quote: char| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if text.contains(char::REPLACEMENT_CHARACTER) {
        // The conversion has replaced invalid bytes, so a random secret would lose most of its randomness.
        Some("text in UTF-8")
    } else if text.contains("-----BEGIN") {
        // A private key must not be shown, and a public key in place of a secret is known to everyone.
        Some("no PEM; for a PEM file, where one is taken, the path of it")
    } else if text.starts_with(is_blank) || text.ends_with(is_blank) {
        Some("a value without a space or a line end before or after it")
    } else if is_between('"') || is_between('\'') {
        Some("a value without quotes around it")
    } else if text.contains(char::is_control) {
        Some("a value without line ends and other control characters in it")
    } else {
        None
    }
}

/// A duration of up to an hour.
pub(super) fn delay(text: &str) -> Option<Duration> {
    duration(text).filter(|it| *it <= MAX_DURATION)
}

/// Parses a duration. Units are in lower case: humantime's `M` is a month.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let is_plain = !text.contains(|character: char| character.is_ascii_uppercase());
    humantime::parse_duration(text).ok().filter(|_| is_plain)
}

//! Reads single variables, and keeps what they hold and every mistake in them.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::time::Duration;

/// One variable that does not hold what it should.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}={held}: takes {takes}")]
pub struct Mistake {
    pub(super) name: &'static str,
    pub(super) held: String,
    pub(super) takes: Cow<'static, str>,
}

/// What a variable holds is a mistake, and is among the mistakes already.
#[derive(Debug)]
pub(super) struct Wrong;

/// Nothing here should take longer.
const MAX_DURATION: Duration = Duration::from_hours(1);

/// Reads variables one by one.
pub(super) struct Reader<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(super) mistakes: Vec<Mistake>,
    /// What each variable holds, without secrets.
    pub(super) effective: Vec<(&'static str, String)>,
}

impl Reader<'_> {
    pub(super) fn count(&mut self, name: &'static str, default: &str, max: usize) -> Option<usize> {
        let parse = |text: &str| text.parse().ok().map(NonZeroUsize::get).filter(|count| *count <= max);
        self.value(name, default, format!("a whole number from 1 to {max}"), parse)
    }

    pub(super) fn duration(&mut self, name: &'static str, default: &str) -> Option<Duration> {
        let bounds = Duration::from_millis(1)..=MAX_DURATION;
        let takes = "a duration from 1ms to 1h, such as 500ms or 2s";
        self.value(name, default, takes, |text| duration(text).filter(|it| bounds.contains(it)))
    }

    pub(super) fn delay(&mut self, name: &'static str, default: &str) -> Option<Duration> {
        let takes = "a duration from 0s to 1h, such as 500ms or 2s";
        self.value(name, default, takes, delay)
    }

    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: &str,
        takes: impl Into<Cow<'static, str>>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let held = self.text(name).ok()?.unwrap_or_else(|| default.to_owned());
        self.parse(name, held, takes, parse)
    }

    /// As [`Self::value`], for what may be written in upper and lower case. `parse` gets it in lower case.
    pub(super) fn word<T>(
        &mut self,
        name: &'static str,
        default: &str,
        takes: impl Into<Cow<'static, str>>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let held = self.text(name).ok()?.map_or_else(|| default.to_owned(), |text| text.to_ascii_lowercase());
        self.parse(name, held, takes, parse)
    }

    fn parse<T>(
        &mut self,
        name: &'static str,
        held: String,
        takes: impl Into<Cow<'static, str>>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(&held);
        if parsed.is_some() {
            self.effective.push((name, held));
        } else {
            self.mistakes.push(Mistake { name, held, takes: takes.into() });
        }
        parsed
    }

    /// Takes any text.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        let held = self.text(name).ok()??;
        self.effective.push((name, held.clone()));
        Some(held)
    }

    pub(super) fn mistake<T>(
        &mut self,
        name: &'static str,
        held: &str,
        takes: impl Into<Cow<'static, str>>,
    ) -> Option<T> {
        self.mistakes.push(Mistake { name, held: held.to_owned(), takes: takes.into() });
        None
    }

    /// Two variables that are right by themselves may not go together.
    pub(super) fn require(&mut self, holds: bool, name: &'static str, takes: &'static str) -> Option<()> {
        if !holds {
            let held = self.effective.iter().find(|(other, _)| *other == name).map(|(_, held)| held.clone());
            self.mistakes.push(Mistake { name, held: held.unwrap_or_default(), takes: takes.into() });
        }
        holds.then_some(())
    }

    /// `None` when the variable is not set.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Wrong> {
        let Some(text) = (self.lookup)(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let Some(takes) = slip(&text) else { return Ok(Some(text)) };
        // It may be secret.
        self.mistakes.push(Mistake { name, held: "***".to_owned(), takes: takes.into() });
        Err(Wrong)
    }
}

/// What belongs to how a value was written down, and not to the value; whether it does is not guessed at: with it, a file's path
/// and a secret would be others than without it. And what is a file's content instead of its path.
fn slip(text: &str) -> Option<&'static str> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    let is_blank = |character: char| character.is_whitespace() || character == BYTE_ORDER_MARK;
    let is_between = |quote: char| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if text.contains(char::REPLACEMENT_CHARACTER) {
        // Random bytes would lose most of what is random in them.
        Some("text in UTF-8")
    } else if text.contains("-----BEGIN") {
        // It may be private; a public one in the place of a secret is known to everybody.
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

/// Its units are in lower case: humantime's `M` is a month.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let is_plain = !text.contains(|character: char| character.is_ascii_uppercase());
    humantime::parse_duration(text).ok().filter(|_| is_plain)
}

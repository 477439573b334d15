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
        self.value(name, default, takes, |text| humantime::parse_duration(text).ok().filter(|it| bounds.contains(it)))
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
        let held = self.text(name).unwrap_or_else(|| default.to_owned());
        let parsed = parse(&held);
        if parsed.is_some() {
            self.effective.push((name, held));
        } else {
            self.mistakes.push(Mistake { name, held, takes: takes.into() });
        }
        parsed
    }

    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        let held = self.text(name)?;
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

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let text = (self.lookup)(name).filter(|text| !text.is_empty())?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            // Random bytes would lose most of what is random in them.
            return self.mistake(name, "***", "text in UTF-8");
        }
        Some(text)
    }
}

/// A duration of up to an hour.
pub(super) fn delay(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|it| *it <= MAX_DURATION)
}

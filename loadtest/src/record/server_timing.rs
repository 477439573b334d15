//! The header `Server-Timing` (W3C): where the service says that the time went.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// More entries than this are not read.
const MOST: usize = 16;

/// An answer's header: `total;dur=1.2, queue;dur=0.1, batch;desc="28", db;dur=0.4, cache;desc=hit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerTiming {
    /// Durations in milliseconds, by name.
    pub durations: BTreeMap<String, f64>,
    /// Descriptions, by name.
    pub descriptions: BTreeMap<String, String>,
}

impl ServerTiming {
    /// Reads what can be read: an entry that is malformed is left out.
    pub(crate) fn parse(header: &str) -> Self {
        let mut timing = Self::default();
        for entry in split(header, ',').into_iter().take(MOST) {
            let mut parts = split(entry, ';').into_iter().map(str::trim);
            let Some(name) = parts.next().filter(|name| !name.is_empty()) else { continue };
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = unquoted(value.trim());
                match key.trim().to_ascii_lowercase().as_str() {
                    "dur" => {
                        if let Some(duration) = value.parse().ok().filter(|it: &f64| it.is_finite() && *it >= 0.0) {
                            timing.durations.insert(name.to_owned(), duration);
                        }
                    }
                    "desc" => drop(timing.descriptions.insert(name.to_owned(), value)),
                    _ => {}
                }
            }
        }
        timing
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.durations.is_empty() && self.descriptions.is_empty()
    }
}

/// Splits at a separator that is not within quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(move |char| {
        let escaped = std::mem::replace(&mut is_escaped, false);
        match char {
            '\\' if is_quoted && !escaped => is_escaped = true,
            '"' if !escaped => is_quoted = !is_quoted,
            _ => {}
        }
        char == separator && !is_quoted
    });
    parts.collect()
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return text.to_owned() };
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        value.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_service_sends_is_read() {
        let timing =
            ServerTiming::parse(r#"total;dur=1.2, queue;dur=0.1, batch;desc="28", db;dur=0.4, cache;desc=hit"#);
        let durations = [("total", 1.2), ("queue", 0.1), ("db", 0.4)];
        assert_eq!(timing.durations, durations.map(|(name, value)| (name.to_owned(), value)).into());
        let descriptions = [("batch", "28"), ("cache", "hit")];
        assert_eq!(timing.descriptions, descriptions.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    }

    #[test]
    fn quotes_hide_separators() {
        let timing = ServerTiming::parse(r#"a;desc="x, y; \"z\"";dur=2,b ; DUR = 3"#);
        assert_eq!(timing.descriptions["a"], r#"x, y; "z""#);
        assert_eq!((timing.durations["a"], timing.durations["b"]), (2.0, 3.0));
    }

    #[test]
    fn what_is_malformed_is_left_out() {
        let timing = ServerTiming::parse("a;dur=fast, ;dur=1, b;dur=-1, c;dur=NaN, d, e;dur=5");
        assert_eq!(timing.durations, BTreeMap::from([("e".to_owned(), 5.0)]));
        assert!(ServerTiming::parse("").is_empty());
    }
}

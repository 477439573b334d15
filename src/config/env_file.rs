//! The file `.env`, which says what the environment does not.

use std::collections::HashMap;

use super::Mistake;

/// Reads the file in the working directory, if there is one.
pub(super) fn env_file() -> Result<HashMap<String, String>, Mistake> {
    // What the file holds may be secret, so the mistake does not show it.
    let mistake = |takes: &'static str| Mistake { name: ".env", held: "...".to_owned(), takes: takes.into() };
    let takes = "lines of NAME=value";
    let text = match std::fs::read_to_string(".env") {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        text => text.map_err(|_| mistake(takes))?,
    };
    // It would stand for another variable, and what follows it in a password would be lost without a word.
    if text.lines().any(is_substituted) {
        return Err(mistake("a value with a $ between single quotes: NAME='value'"));
    }
    dotenvy::from_read_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|_| mistake(takes))
}

/// Whether there is a `$` in it that does not stand between single quotes.
fn is_substituted(line: &str) -> bool {
    let value = line.split_once('=').map_or(line, |(_, value)| value).trim_start();
    let quoted = value.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    !line.trim_start().starts_with('#') && quoted.map_or(value, |(_, rest)| rest).contains('$')
}

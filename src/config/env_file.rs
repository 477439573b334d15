//! The file `.env`, which says what the environment does not.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Mistake;

const LINES: &str = "lines of NAME=value, a value with spaces in it between quotes";
/// It would stand for another variable, and what follows it in a password would be lost without a word.
const DOLLAR: &str = "a value with a $ between single quotes: NAME='value'";
/// Outside of quotes they would be lost, and a password would be another one.
const QUOTES: &str = "a value with quotes or backslashes in it, or a # before it, on one line and between one pair of quotes: \
                      'value', or \"value\" with \\ before each \" and \\ in it";

/// Reads the file in the working directory, if there is one.
pub(super) fn env_file() -> Result<HashMap<String, String>, Mistake> {
    // What the file holds may be secret, so the mistake does not show it.
    let mistake = |takes| Mistake { name: ".env", held: "...".to_owned(), takes };
    let text = match std::fs::read_to_string(".env") {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        text => text.map_err(|_| mistake(LINES.into()))?,
    };
    read(&text).map_err(mistake)
}

fn read(text: &str) -> Result<HashMap<String, String>, Cow<'static, str>> {
    if let Some((number, _)) = (1..).zip(text.lines()).find(|(_, line)| is_substituted(line)) {
        return Err(format!("{DOLLAR} (line {number})").into());
    }
    let mut variables = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        // Its name may be a piece of a secret, too.
        let of_line = |takes: &str| format!("{takes} (line {number})");
        let line = without_comment(line).ok_or_else(|| of_line(QUOTES))?;
        // Line by line, without comments: after some backslashes and quotes, dotenvy would go on with the next one.
        for variable in dotenvy::from_read_iter(line.as_bytes()) {
            let (name, value) = variable.map_err(|_| of_line(if line.contains('\\') { QUOTES } else { LINES }))?;
            if variables.contains_key(&name) {
                return Err(format!("each variable once, and {name} is there twice").into());
            }
            variables.insert(name, value);
        }
    }
    Ok(variables)
}

/// Whether there is a `$` in it that does not stand between single quotes.
fn is_substituted(line: &str) -> bool {
    let value = line.split_once('=').map_or(line, |(_, value)| value).trim_start();
    let quoted = value.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    !line.trim_start().starts_with('#') && quoted.map_or(value, |(_, rest)| rest).contains('$')
}

/// The line, if its value is what stands there: between one pair of quotes, or without any, and without what they are for.
fn without_comment(line: &str) -> Option<&str> {
    if line.trim_start().starts_with('#') {
        return Some("");
    }
    let value = line.split_once('=').map_or(line, |(_, value)| value);
    if let Some(after) = after_quotes(value.trim_start()) {
        let is_comment = after.trim_start().starts_with('#') || after.trim().is_empty();
        return is_comment.then(|| line.split_at(line.len() - after.len()).0);
    }
    let comment = value.find(" #").or_else(|| value.find("\t#")).map_or("", |at| value.split_at(at).1);
    // A space at the end, without a line end after it, would be an error.
    let line = line.split_at(line.len() - comment.len()).0.trim_end();
    (!value.starts_with('#') && !line.contains(['\'', '"', '\\'])).then_some(line)
}

/// What follows a value that begins with a quote and ends with another one.
fn after_quotes(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let mut is_escaped = false;
    let (end, _) = text.char_indices().skip(1).find(|(_, character)| {
        let is_end = *character == quote && !is_escaped;
        is_escaped = quote == '"' && *character == '\\' && !is_escaped;
        is_end
    })?;
    text.get(end + 1..)
}

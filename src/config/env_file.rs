//! The file `.env`: values for variables that the environment does not set.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Mistake;

const LINES: &str = "lines of NAME=value, a value with spaces in it between quotes";
/// Outside single quotes `$` refers to another variable. In a password, the text after it would be lost silently.
const DOLLAR: &str = "a value with a $ between single quotes: NAME='value'";
/// Outside quotes these characters would be lost, which would change a password silently.
const QUOTES: &str = "a value with quotes or backslashes in it, or a # before it, on one line and between one pair of quotes: \
                      'value', or \"value\" with \\ before each \" and \\ in it";

/// Reads the file in the working directory, if it exists.
pub(super) fn env_file() -> Result<HashMap<String, String>, Mistake> {
    // The file may contain secrets, so a mistake shows none of it.
    let mistake = |expected| Mistake { name: ".env", value: "...".to_owned(), expected };
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
        // The name may be a part of a secret, too.
        let of_line = |expected: &str| format!("{expected} (line {number})");
        let line = without_comment(line).ok_or_else(|| of_line(QUOTES))?;
        // Line by line and without comments: after some backslashes and quotes dotenvy would continue on the next line.
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

/// Whether the line contains a `$` outside single quotes.
fn is_substituted(line: &str) -> bool {
    let value = line.split_once('=').map_or(line, |(_, value)| value).trim_start();
    let quoted = value.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    !line.trim_start().starts_with('#') && quoted.map_or(value, |(_, rest)| rest).contains('$')
}

/// The line without its comment. `None` unless the value is either in one pair of quotes, or has no characters that
/// need quotes.
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
    // dotenvy fails on a trailing space without a line end.
    let line = line.split_at(line.len() - comment.len()).0.trim_end();
    (!value.starts_with('#') && !line.contains(['\'', '"', '\\'])).then_some(line)
}

/// The text after a quoted value.
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

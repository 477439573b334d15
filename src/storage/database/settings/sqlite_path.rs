//! Checks paths of SQLite files.

use std::path::Path;

use super::percent_code::begins_with_code;

/// Rejects parameters, escapes, variables and the like. Nothing expands them, so their author means another file than
/// the one that would be created.
///
/// # Errors
/// What is accepted, in words for the operator.
pub(super) fn check(path: &str) -> Result<(), &'static str> {
    // Each connection to `:memory:` would have a separate database, and SQLite parses a name that begins with `file:`
    // as a URI.
    let is_special = path.starts_with(':') || path.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:"));
    let mut folders = path.split('/');
    let has_home = path.starts_with('~') || folders.any(|folder| folder == "~");
    let has_code = path.split('%').skip(1).any(begins_with_code);
    let is_quoted = path.starts_with(['"', '\'']) || path.ends_with(['"', '\'']);
    let names_file = !path.ends_with('/') && Path::new(path).file_name().is_some();
    let refusals = [
        (is_special || !names_file, "a file after sqlite://"),
        (path.contains('?'), "a file after sqlite://, without parameters"),
        (has_home || path.contains('$'), "a file after sqlite://, its path written out: ~ and $ stand for nothing"),
        (path.contains('\\') || has_code, "a file after sqlite://, without \\ and codes such as %20"),
        (is_quoted || path.trim() != path, "a file after sqlite://, without quotes and spaces around it"),
    ];
    refusals.into_iter().find(|(is_refused, _)| *is_refused).map_or(Ok(()), |(_, takes)| Err(takes))
}

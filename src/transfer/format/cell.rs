//! Cells that no spreadsheet takes for a formula (OWASP, CSV injection).
//!
//! A cell that would be one gets an apostrophe before it. So a cell that already begins with apostrophes and would be one
//! without them gets one more, and the reader takes one away: no value is lost, and none that is harmless changes. This
//! holds for the beginning of a value and for what follows a semicolon, at which spreadsheets of many languages split.

use std::borrow::Cow;

/// Makes a value harmless as a cell.
pub(in crate::transfer) fn guard(value: &str) -> Cow<'_, str> {
    if !value.split_inclusive(';').any(is_formula) {
        return value.into();
    }
    let mut guarded = String::with_capacity(value.len() + 1);
    for part in value.split_inclusive(';') {
        let (spaces, rest) = spaces(part);
        guarded.extend([spaces, if is_formula(part) { "'" } else { "" }, rest]);
    }
    guarded.into()
}

/// The value that a cell stands for: undoes [`guard`].
pub(in crate::transfer) fn unguard(cell: &str) -> Cow<'_, str> {
    if !cell.contains('\'') || !cell.split_inclusive(';').any(is_formula) {
        return cell.into();
    }
    let mut value = String::with_capacity(cell.len());
    for part in cell.split_inclusive(';') {
        let (spaces, rest) = spaces(part);
        let bare = rest.strip_prefix('\'').filter(|_| is_formula(part)).unwrap_or(rest);
        value.extend([spaces, bare]);
    }
    value.into()
}

/// Whether a part would be a formula if it had no apostrophes before it.
fn is_formula(part: &str) -> bool {
    spaces(part).1.trim_start_matches('\'').starts_with(begins_formula)
}

/// The spaces at the beginning, which a spreadsheet may ignore, and the rest.
fn spaces(part: &str) -> (&str, &str) {
    part.split_at(part.len() - part.trim_start_matches(' ').len())
}

/// The characters that OWASP names, those of full width included.
const fn begins_formula(char: char) -> bool {
    matches!(char, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\0' | '＝' | '＋' | '－' | '＠')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula_and_no_value_is_lost() {
        for start in ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"] {
            for before in ["", "'", "''", " ", "  '", "a;", "a; ", ";'", ";;"] {
                let value = format!("{before}{start}1+1");
                let cell = guard(&value);
                let (spaces, rest) = spaces(cell.rsplit(';').next().unwrap());
                assert!(spaces.trim().is_empty() && rest.starts_with('\''), "{value:?} is {cell:?}");
                assert_eq!(unguard(&cell), value);
            }
        }
    }

    #[test]
    fn harmless_values_stay() {
        for value in ["", "Ada", "'t Hooft", "O'Neil", "a=b", "a-b@example.com", "''", ";", "a;b", "5 - 3"] {
            assert_eq!((guard(value), unguard(value)), (value.into(), value.into()));
        }
    }

    #[test]
    fn a_file_made_by_hand_may_have_formulas() {
        assert_eq!(unguard("=1"), "=1");
        assert_eq!(unguard("a;=1"), "a;=1");
    }

    #[test]
    fn any_value_comes_back() {
        let parts = ["'", "=", ";", " ", "a", "-"];
        let mut values = vec![String::new()];
        for _ in 0..5 {
            values = values.iter().flat_map(|value| parts.map(|part| format!("{value}{part}"))).collect();
            for value in &values {
                assert_eq!(unguard(&guard(value)), *value);
            }
        }
    }
}

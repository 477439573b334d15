//! Addresses and names against public test data: Unicode's, and the Big List of Naughty Strings. `tests/unicode/` has
//! excerpts.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot continue should fail with a message")]

use user_service::domain::{Email, NewUser, RawProfile, UserName};

/// The fields of each line that is not a comment.
fn lines(data: &str) -> Vec<Vec<&str>> {
    let lines = data.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(';').map(str::trim).collect()).collect()
}

fn character(code: &str) -> char {
    char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap()
}

fn key(address: &str) -> String {
    Email::stored(address.to_owned()).key().into_string()
}

/// Replaces the escapes `\uXXXX` and `\x{XXXXX}` of invisible characters.
fn unescaped(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let (code, after) = if let Some(braced) = escape.strip_prefix("x{") {
            braced.split_once('}').unwrap()
        } else {
            escape.strip_prefix('u').unwrap().split_at(4)
        };
        plain.push(character(code));
        rest = after;
    }
    plain + rest
}

#[test]
fn a_domain_is_what_uts_46_says() {
    let mut wrong = Vec::new();
    for line in lines(include_str!("unicode/idna.txt")) {
        let [domain, ascii] = line[..] else { panic!("{line:?}") };
        let address = format!("a@{}", unescaped(domain));
        let parsed = Email::parse(address.clone());
        // The service rejects invisible characters, even where UTS 46 would drop them, and text that merely stands for
        // ASCII.
        let is_disguised = !address.is_ascii() && !ascii.contains("xn--");
        let is_seen = !parsed.as_ref().is_err_and(|error| error.detail.contains("not seen"));
        let is_taken = !ascii.is_empty() && is_seen && !is_disguised;
        if parsed.is_ok() != is_taken || (is_taken && key(&address) != format!("a@{ascii}")) {
            wrong.push((domain, ascii, parsed, key(&address)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn letters_of_different_case_are_one_only_by_their_simple_mapping() {
    let mut wrong = Vec::new();
    for line in lines(include_str!("unicode/case_folding.txt")) {
        let [status, code, mapping, expected] = line[..] else { panic!("{line:?}") };
        let folded: String = mapping.split(' ').map(character).collect();
        let in_addresses = key(&format!("x{}@example.com", character(code))) == key(&format!("x{folded}@example.com"));
        // Names are only searched, with full case folding, without the mappings for Turkish.
        let name = |text: String| UserName::stored(text).key();
        let in_names = name(format!("x{}", character(code))) == name(format!("x{folded}"));
        if in_addresses != (expected == "one") || in_names != (status != "T") {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_that_looks_like_an_ascii_address_is_one() {
    for line in lines(include_str!("unicode/confusables.txt")) {
        let [code, looks_like] = line[..] else { panic!("{line:?}") };
        let (one, other) = (format!("x{}@example.com", character(code)), format!("x{looks_like}@example.com"));
        assert_ne!(key(&one), key(&other), "U+{code}");
    }
}

#[test]
fn naughty_strings_are_refused_or_kept_as_they_are() {
    let strings: Vec<String> = serde_json::from_str(include_str!("unicode/naughty_strings.json")).unwrap();
    let mut taken = 0;
    for text in strings {
        if let Ok(new) = NewUser::parse(text.clone(), "a@example.com".into(), RawProfile::default()) {
            assert_eq!(new.name.as_str(), text.trim());
            taken += 1;
        }
        if let Ok(email) = Email::parse(format!("{text}@example.com")) {
            assert!(!text.contains([' ', '\u{200b}', '\u{202e}', '\u{feff}']) || text.starts_with('"'), "{text:?}");
            assert_eq!(email.key().into_string(), key(&email.key().into_string()), "{text:?}");
        }
    }
    assert!(taken > 40, "{taken}");
}

//! Any text as a page token. Because random text hardly ever has the right checksum, also any bytes as the content of a
//! token with one.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use user_service::domain::{Email, Error, Filter, Folded, NamePrefix, PageToken, UserId};

/// The filters, with the bytes that the checksum of their tokens covers after the content.
static FILTERS: LazyLock<[(Filter, &[u8]); 4]> = LazyLock::new(|| {
    let by_name = |prefix| Filter { email: None, name_prefix: NamePrefix::parse(prefix).ok() };
    let by_email = Filter { email: Email::parse_to_find("A@b.co").ok(), name_prefix: None };
    [
        (Filter::default(), b"\xfe\xfe"),
        (by_email, b"\xffa@b.co\xfe"),
        (by_name("Ab"), b"\xfe\xffab"),
        (by_name("Ac"), b"\xfe\xffac"),
    ]
});

fuzz_target!(|bytes: &[u8]| {
    let text = str::from_utf8(bytes).unwrap_or_default();
    for (filter, marks) in &*FILTERS {
        if let Ok(token) = PageToken::decode(text, filter) {
            check(&token, filter);
        }
        let text = sealed(bytes, marks);
        let token = PageToken::decode(&text, filter);
        assert_eq!(token, content(bytes, filter).ok_or(Error::InvalidPageToken));
        if let Ok(token) = token {
            check(&token, filter);
        }
    }
    // For two prefixes of equal length, the checksums always differ.
    let [.., (_, marks), (other, _)] = &*FILTERS;
    assert_eq!(PageToken::decode(&sealed(bytes, marks), other), Err(Error::InvalidPageToken));
});

/// Checks a token that was accepted.
fn check(token: &PageToken, filter: &Filter) {
    assert!(token.id.get() > 0, "no user has the id {}", token.id);
    assert_eq!(token.name.is_some(), filter.name_prefix.is_some());
    assert!(token.name.as_ref().is_none_or(|name| !name.as_str().contains('\0')));
    assert_eq!(PageToken::decode(&token.encode(filter), filter).as_ref(), Ok(token));
}

/// A token with this content and the matching checksum.
fn sealed(content: &[u8], marks: &[u8]) -> String {
    let sum = crc32fast::hash(&[content, marks].concat());
    URL_SAFE_NO_PAD.encode([content, &sum.to_be_bytes()].concat())
}

/// Decodes the content of a token, if it is valid.
fn content(bytes: &[u8], filter: &Filter) -> Option<PageToken> {
    let (id, name) = bytes.strip_prefix(&[1])?.split_first_chunk()?;
    let name = String::from_utf8(name.to_vec()).ok().filter(|name| !name.contains('\0'))?;
    let id = UserId::parse(&i64::from_be_bytes(*id).to_string()).ok()?;
    Some(PageToken { id, name: filter.name_prefix.is_some().then(|| Folded::stored(name)) })
}

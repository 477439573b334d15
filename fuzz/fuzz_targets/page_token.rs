//! Any text as a page token. Because random text hardly ever has the right checksum, also any bytes as the content of a
//! token with one.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use user_service::domain::{
    AttributeFilter, AttributeName, Email, Error, Filter, Last, NamePrefix, Order, OrderBy, PageToken, Status, UserId,
};

/// The filters, with the bytes that the checksum of their tokens covers after the content.
static FILTERS: LazyLock<[(Filter, &[u8]); 7]> = LazyLock::new(|| {
    let by_name = |prefix| Filter { name_prefix: NamePrefix::parse(prefix).ok(), ..Filter::default() };
    let by_email = Filter { email: Email::parse_to_find("A@b.co").ok(), ..Filter::default() };
    let ordered = |order| Filter { order: Order::parse(order).ok(), ..Filter::default() };
    let asked = [("b".to_owned(), "c".to_owned()), ("a".to_owned(), String::new())];
    let indexed = ["a", "b"].map(|name| AttributeName::parse(name).expect("a name"));
    let attributes = AttributeFilter::parse_all(asked, &indexed).expect("filters");
    let disabled = Filter { status: Some(Status::Disabled), attributes, ..ordered("-id") };
    [
        (Filter::default(), b"\xfe\xfe"),
        (by_email, b"\xffa@b.co\xfe"),
        (ordered("email"), b"\xfe\xfe\xfbemail"),
        (ordered("-name"), b"\xfe\xfe\xfb-name"),
        (disabled, b"\xfe\xfe\xfcdisabled\xfb-id\xfaa\xf9\xfab\xf9c"),
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
    let PageToken(Last { id, key }) = token;
    assert!(id.get() > 0, "no user has the id {id}");
    assert_eq!(key.is_some(), has_key(filter));
    assert!(key.as_ref().is_none_or(|key| !key.contains('\0')));
    assert_eq!(PageToken::decode(&token.encode(filter), filter).as_ref(), Ok(token));
}

/// A token with this content and the matching checksum.
fn sealed(content: &[u8], marks: &[u8]) -> String {
    let sum = crc32fast::hash(&[content, marks].concat());
    URL_SAFE_NO_PAD.encode([content, &sum.to_be_bytes()].concat())
}

/// Decodes the content of a token, if it is valid.
fn content(bytes: &[u8], filter: &Filter) -> Option<PageToken> {
    let (id, key) = bytes.strip_prefix(&[1])?.split_first_chunk()?;
    let key = String::from_utf8(key.to_vec()).ok().filter(|key| !key.contains('\0'))?;
    let id = UserId::parse(&i64::from_be_bytes(*id).to_string()).ok()?;
    Some(PageToken(Last { id, key: has_key(filter).then_some(key) }))
}

/// Whether the list is ordered by something else than the id.
fn has_key(filter: &Filter) -> bool {
    filter.order().by != OrderBy::Id
}

//! Percent codes (RFC 3986, 2.1), such as `%40`.

/// Whether the text after a `%` begins with two hexadecimal digits that stand for a character. `%00` stands for none.
pub(super) fn begins_with_code(after_percent: &str) -> bool {
    let code = after_percent.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    code.is_some_and(|code| code != "00")
}

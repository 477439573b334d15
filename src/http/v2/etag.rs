//! Entity tags, and the preconditions that use them (RFC 9110, 8.8.3 and 13.1).
//!
//! actix-web's types for these headers skip malformed tags, and split a tag that contains a comma. Here a malformed
//! condition is an error, because the client could not tell that the service had ignored it.

use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::domain::{Expected, Version};
use crate::http::problem::Failure;

/// The most tags that one header may list, because each version in `If-Match` can cost a statement.
const MAX_TAGS: usize = 8;

/// The versions that `If-Match` names. A weak tag never matches here, and neither does a tag that is not a version.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Expected, Failure> {
    Ok(match condition(headers, &IF_MATCH, "if-match")? {
        None | Some(Condition::Any) => Expected::AnyVersion,
        Some(Condition::Tags(tags)) => {
            Expected::OneOf(tags.iter().filter(|tag| !tag.weak).filter_map(|tag| tag.version).collect())
        }
    })
}

/// The versions that a write may change, by `If-Match` and `If-None-Match`.
pub(super) fn preconditions(headers: &HeaderMap) -> Result<Expected, Failure> {
    match condition(headers, &IF_NONE_MATCH, "if-none-match")? {
        None => if_match(headers),
        // "Only if the user does not exist": an existing user may change in no version.
        Some(Condition::Any) => Ok(Expected::OneOf(Vec::new())),
        Some(Condition::Tags(_)) => {
            Err(Failure::InvalidHeader { name: "if-none-match", detail: "takes only * with this method" })
        }
    }
}

/// Whether `If-None-Match` names a version, which the client then has. Weak tags match as well as strong ones.
pub(super) fn if_none_match(headers: &HeaderMap) -> Result<impl Fn(Version) -> bool + use<>, Failure> {
    let condition = condition(headers, &IF_NONE_MATCH, "if-none-match")?;
    Ok(move |version| match &condition {
        None => false,
        Some(Condition::Any) => true,
        Some(Condition::Tags(tags)) => tags.iter().any(|tag| tag.version == Some(version)),
    })
}

enum Condition {
    /// `*`.
    Any,
    Tags(Vec<Tag>),
}

struct Tag {
    weak: bool,
    /// `None` for a tag that this service cannot have issued.
    version: Option<Version>,
}

fn condition(headers: &HeaderMap, name: &HeaderName, shown: &'static str) -> Result<Option<Condition>, Failure> {
    let invalid = |detail| Failure::InvalidHeader { name: shown, detail };
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let mut tags = Vec::new();
    let mut any = false;
    for value in headers.get_all(name) {
        let malformed = || invalid("must be * or a list of entity tags such as \"1\"");
        let text = value.to_str().map_err(|_| malformed())?;
        if text.trim() == "*" {
            any = true;
        } else {
            tags.extend(parse_tags(text).ok_or_else(malformed)?);
        }
    }
    match (any, tags.len()) {
        (true, 0) => Ok(Some(Condition::Any)),
        (false, 1..=MAX_TAGS) => Ok(Some(Condition::Tags(tags))),
        (false, 0) => Err(invalid("must name an entity tag")),
        (false, _) => Err(invalid("must list at most 8 entity tags")),
        (true, _) => Err(invalid("must be either * or a list")),
    }
}

/// Parses a list such as `"1", W/"2"`, which may have empty elements (RFC 9110, 5.6.1.2). `None` if it is malformed.
fn parse_tags(text: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
        let (opaque, after) = quoted.strip_prefix('"')?.split_once('"')?;
        tags.push(Tag { weak, version: Version::of_tag(opaque) });
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), actix_web::http::header::HeaderValue::from_static(value));
        }
        headers
    }

    fn expected(values: &[&'static str]) -> Option<Expected> {
        if_match(&headers(&IF_MATCH, values)).ok()
    }

    fn one_of(numbers: &[i64]) -> Expected {
        Expected::OneOf(numbers.iter().copied().map(Version).collect())
    }

    #[test]
    fn if_match_takes_strong_versions() {
        assert_eq!(expected(&[]), Some(Expected::AnyVersion));
        assert_eq!(expected(&["*"]), Some(Expected::AnyVersion));
        assert_eq!(expected(&["\"3\""]), Some(one_of(&[3])));
        assert_eq!(expected(&["\"3\" ,, \"4\"", "\"5\""]), Some(one_of(&[3, 4, 5])));
        assert_eq!(expected(&["W/\"3\", \"a,b\", \"03\", \"+3\""]), Some(one_of(&[])));
    }

    #[test]
    fn malformed_lists_are_errors() {
        for value in ["3", "\"3", "\"3\" \"4\"", "", ",", "w/\"3\"", "*, \"3\"", "'3'"] {
            assert_eq!(expected(&[value]), None, "{value:?}");
        }
        assert_eq!(expected(&["*", "\"3\""]), None);
        assert_eq!(expected(&["\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\""]), None);
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let has = |value, version| if_none_match(&headers(&IF_NONE_MATCH, &[value])).ok().unwrap()(Version(version));
        assert!(has("*", 1) && has("\"1\"", 1) && has("W/\"1\"", 1) && has("\"7\", \"1\"", 1));
        assert!(!has("\"2\"", 1) && !has("\"x\"", 1));
    }
}

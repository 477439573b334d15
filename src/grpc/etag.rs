use super::failure::Failure;
use crate::domain::{Expected, Version};

/// Parses the field `etag` of a change: the state of the user that the change applies to. A weak tag, or one that is no
/// version, matches no state.
///
/// # Errors
/// When the field is not an entity tag (RFC 9110, 8.8.3).
pub(super) fn expected(etag: &str) -> Result<Expected, Failure> {
    if matches!(etag, "" | "*") {
        return Ok(Expected::AnyVersion);
    }
    let (weak, quoted) = etag.strip_prefix("W/").map_or((false, etag), |quoted| (true, quoted));
    let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|it| !it.contains('"'));
    let detail = "must be empty, * or one entity tag with its quotes, as it was given";
    let opaque = opaque.ok_or(Failure::InvalidField { field: "etag".into(), detail })?;
    let version = Version::of_tag(opaque).filter(|_| !weak);
    Ok(Expected::OneOf(Vec::from_iter(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_one_strong_tag() {
        let one_of = |versions: &[i64]| Some(Expected::OneOf(versions.iter().copied().map(Version).collect()));
        let expected = |etag: &str| expected(etag).ok();
        assert_eq!([expected(""), expected("*")], [Some(Expected::AnyVersion), Some(Expected::AnyVersion)]);
        assert_eq!(expected("\"3\""), one_of(&[3]));
        for never_given in ["W/\"3\"", "\"03\"", "\"x\"", "\"\""] {
            assert_eq!(expected(never_given), one_of(&[]), "{never_given}");
        }
        for malformed in ["3", "\"3", "3\"", "\"", "\"1\", \"2\"", "w/\"3\"", " \"3\""] {
            assert_eq!(expected(malformed), None, "{malformed}");
        }
    }
}

use std::fmt;

/// Why a record, or a file, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A name for programs. It never changes.
    pub code: &'static str,
    /// What is wrong, as a JSON pointer (RFC 6901): a member of the line, or a column. `None` for the whole record.
    pub pointer: Option<String>,
    /// What is wrong, in words for people.
    pub detail: &'static str,
}

/// An error of a whole file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Broken {
    /// Where it was found, from 1.
    pub line: u64,
    pub fault: Fault,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pointer {
            Some(pointer) => write!(f, "{pointer} {}", self.detail),
            None => f.write_str(self.detail),
        }
    }
}

/// Of a record.
impl Fault {
    pub(super) const TOO_LONG: Self = Self::of_all("too_long", "the record has more than 64 KiB");
    pub(super) const NOT_UTF8: Self = Self::of_all("not_utf8", "the record is not UTF-8");
    pub(super) const NUL: Self = Self::of_all("nul", "the record has a NUL");
    pub(super) const MALFORMED_JSON: Self = Self::of_all("malformed_json", "the line is not JSON");
    pub(super) const NOT_AN_OBJECT: Self = Self::of_all("not_an_object", "the line is not a JSON object");
    pub(super) const OPEN_QUOTE: Self = Self::of_all("open_quote", "a quote has no end");
    pub(super) const STRAY_QUOTE: Self =
        Self::of_all("stray_quote", "a quote stands within a field, or something stands behind the end of one");
    pub(super) const TOO_FEW_FIELDS: Self =
        Self::of_all("too_few_fields", "the record has fewer fields than the header has columns");
    pub(super) const TOO_MANY_FIELDS: Self =
        Self::of_all("too_many_fields", "the record has more fields than the header has columns");

    pub(super) fn missing(field: &str) -> Self {
        Self::of("missing_field", field, "is missing")
    }

    pub(super) fn repeated(field: &str) -> Self {
        Self::of("repeated_field", field, "is given more than once")
    }

    pub(super) fn unknown(field: &str) -> Self {
        Self::of("unknown_field", field, "is not a known field")
    }

    pub(super) fn not_text(field: &str) -> Self {
        Self::of("not_text", field, "must be text")
    }

    pub(super) fn nul_in(field: &str) -> Self {
        Self::of("nul", field, "has a NUL")
    }
}

/// Of a whole file.
impl Fault {
    pub(super) const NO_HEADER: Self = Self::of_all("missing_header", "the file has no header");
    pub(super) const MALFORMED_END: Self =
        Self::of_all("malformed_end", "the end must say how many users there are, and nothing else");
    pub(super) const WRONG_COUNT: Self =
        Self::of_all("wrong_count", "the end names another number of users than there are");
    pub(super) const AFTER_END: Self = Self::of_all("after_end", "something follows the end");
    pub(super) const CUT_SHORT: Self =
        Self::of_all("cut_short", "the file is an export whose end is missing: not all of it has come");

    pub(super) fn missing_column(name: &str) -> Self {
        Self::of("missing_column", name, "is not a column of the header")
    }

    pub(super) fn repeated_column(name: &str) -> Self {
        Self::of("repeated_column", name, "is more than one column of the header")
    }

    pub(super) fn unknown_column(name: &str) -> Self {
        Self::of("unknown_column", name, "is not a known column")
    }
}

impl Fault {
    const fn of_all(code: &'static str, detail: &'static str) -> Self {
        Self { code, pointer: None, detail }
    }

    fn of(code: &'static str, field: &str, detail: &'static str) -> Self {
        /// The name may be the client's own. This much of it is enough to find it.
        const LONGEST: usize = 100;
        let field = field.chars().take(LONGEST).collect::<String>();
        Self { code, pointer: Some(format!("/{}", field.replace('~', "~0").replace('/', "~1"))), detail }
    }
}

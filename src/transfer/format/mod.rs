//! What readers and writers of files agree on.

pub(super) mod cell;
pub(super) mod fields;
mod file_name;

pub use file_name::form_of;

/// How users are written down in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object on each line.
    Ndjson,
    /// RFC 4180, in UTF-8, with a header.
    Csv,
}

impl Format {
    /// All formats. The first is the one for whoever has no preference.
    pub const ALL: [Self; 2] = [Self::Ndjson, Self::Csv];

    /// The format with this name, which is also the extension of its files.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ndjson" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// The media type, without parameters.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
        }
    }
}

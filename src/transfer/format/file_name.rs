use std::ffi::OsStr;
use std::path::Path;

use super::Format;

/// The format that a file's name says, and whether the file is compressed.
#[must_use]
pub fn form_of(file: &Path) -> (Option<Format>, bool) {
    let is_gz = file.extension() == Some(OsStr::new("gz"));
    let name = if is_gz { file.with_extension("") } else { file.to_owned() };
    (name.extension().and_then(OsStr::to_str).and_then(Format::named), is_gz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_form() {
        let form = |name: &str| form_of(Path::new(name));
        assert_eq!(form("a/users.csv"), (Some(Format::Csv), false));
        assert_eq!(form("users.of.today.ndjson.gz"), (Some(Format::Ndjson), true));
        for (name, is_gz) in [("users", false), ("users.gz", true), ("csv", false), ("users.json", false), ("-", false)]
        {
            assert_eq!(form(name), (None, is_gz), "{name}");
        }
    }
}

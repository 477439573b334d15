//! The records of a file.

use std::io::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::{Attributes, ExternalId, Timestamp, User};
use crate::transfer::format::Format;
use crate::transfer::format::cell::guard;
use crate::transfer::format::fields::{END, FIELDS};

/// Writes the users of one file, in the order in which they are given.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    users: u64,
}

impl Writer {
    /// Begins a file.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self { format, users: 0 }
    }

    /// Writes what comes before the first user.
    pub fn head(&self, out: &mut Vec<u8>) {
        if self.format == Format::Csv {
            out.extend(FIELDS.join(",").as_bytes());
            out.extend(b"\r\n");
        }
    }

    /// Writes a user.
    pub fn user(&mut self, user: &User, out: &mut Vec<u8>) {
        self.users += 1;
        match self.format {
            Format::Ndjson => write_line(user, out),
            Format::Csv => write_record(user, out),
        }
    }

    /// Writes what says that the file is whole.
    pub fn end(&self, out: &mut Vec<u8>) {
        let users = self.users;
        // Writing to a vector cannot fail.
        let _ = match self.format {
            Format::Ndjson => writeln!(out, "{{\"{END}\":{{\"users\":{users}}}}}"),
            Format::Csv => write!(out, "{END},{users}{}\r\n", ",".repeat(FIELDS.len() - 2)),
        };
    }
}

/// A user, with the members that it has in version 2 of the API.
#[derive(Serialize)]
struct Line<'a> {
    id: i64,
    name: &'a str,
    email: &'a str,
    version: i64,
    #[serde(serialize_with = "as_text")]
    created_at: Timestamp,
    #[serde(serialize_with = "as_text")]
    updated_at: Timestamp,
    // All members are always there: so an import of the file leaves a user as it was exported.
    external_id: Option<&'a str>,
    status: &'static str,
    attributes: Option<&'a RawValue>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

fn write_line(user: &User, out: &mut Vec<u8>) {
    let line = Line {
        id: user.id.get(),
        name: user.name.as_str(),
        email: user.email.as_str(),
        version: user.version.0,
        created_at: user.created_at,
        updated_at: user.updated_at,
        external_id: user.external_id().map(ExternalId::as_str),
        status: user.status().as_str(),
        attributes: user.attributes().map(Attributes::json),
    };
    // Writing numbers and texts to a vector cannot fail.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}

fn write_record(user: &User, out: &mut Vec<u8>) {
    let _ = write!(out, "{},", user.id);
    write_cell(user.name.as_str(), out);
    out.push(b',');
    write_cell(user.email.as_str(), out);
    let _ = write!(out, ",{},{},{},", user.version.0, user.created_at, user.updated_at);
    write_cell(user.external_id().map_or("", ExternalId::as_str), out);
    let _ = write!(out, ",{},", user.status().as_str());
    write_cell(user.attributes().map_or("", Attributes::as_str), out);
    out.extend(b"\r\n");
}

fn write_cell(value: &str, out: &mut Vec<u8>) {
    let cell = guard(value);
    if !cell.contains(['"', ',', '\r', '\n']) {
        return out.extend(cell.as_bytes());
    }
    out.push(b'"');
    out.extend(cell.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

#[cfg(test)]
pub(in crate::transfer) mod tests {
    use super::*;
    use crate::domain::{Email, UserId, UserName, Version};

    const HEADER: &str = "id,name,email,version,created_at,updated_at,external_id,status,attributes";

    /// A user of made-up texts, valid or not.
    pub(in crate::transfer) fn user(id: i64, name: &str, email: &str) -> User {
        User {
            id: UserId::stored(id),
            name: UserName::stored(name.to_owned()),
            email: Email::stored(email.to_owned()),
            version: Version(2),
            created_at: Timestamp::from_unix_micros(1_700_000_000_000_001),
            updated_at: Timestamp::from_unix_micros(1_700_000_060_000_000),
            profile: None,
        }
    }

    /// A whole file.
    pub(in crate::transfer) fn file(format: Format, users: &[User]) -> Vec<u8> {
        let (mut writer, mut out) = (Writer::new(format), Vec::new());
        writer.head(&mut out);
        for user in users {
            writer.user(user, &mut out);
        }
        writer.end(&mut out);
        out
    }

    fn text(format: Format, users: &[User]) -> String {
        String::from_utf8(file(format, users)).unwrap()
    }

    #[test]
    fn ndjson_has_a_user_on_each_line() {
        assert_eq!(
            text(Format::Ndjson, &[user(7, "Ada \"A\"", "ada@example.com")]),
            "{\"id\":7,\"name\":\"Ada \\\"A\\\"\",\"email\":\"ada@example.com\",\"version\":2,\
             \"created_at\":\"2023-11-14T22:13:20.000001Z\",\"updated_at\":\"2023-11-14T22:14:20.000000Z\",\
             \"external_id\":null,\"status\":\"active\",\"attributes\":null}\n\
             {\"end\":{\"users\":1}}\n"
        );
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let times = "2,2023-11-14T22:13:20.000001Z,2023-11-14T22:14:20.000000Z,,active,\r\n";
        assert_eq!(
            text(Format::Csv, &[user(7, "Ada, \"A\"", "ada@example.com"), user(9, "=1+1", "+a@example.com")]),
            format!(
                "{HEADER}\r\n7,\"Ada, \"\"A\"\"\",ada@example.com,{times}\
                 9,'=1+1,'+a@example.com,{times}end,2,,,,,,,\r\n"
            )
        );
    }

    #[test]
    fn nobody_is_written_too() {
        assert_eq!(text(Format::Ndjson, &[]), "{\"end\":{\"users\":0}}\n");
        assert_eq!(text(Format::Csv, &[]), format!("{HEADER}\r\nend,0,,,,,,,\r\n"));
    }
}

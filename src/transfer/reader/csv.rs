//! A record of CSV (RFC 4180), whose quotes are known to be in order.

use std::fmt;

use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};

use super::fault::Fault;
use super::record::{Content, Parsed};
use crate::domain::{Assignment, RawProfile, Status};
use crate::transfer::format::cell::unguard;
use crate::transfer::format::fields::{END, EXPORTED_EARLIER, FIELDS};

/// The columns of a file, and how to split a record into them.
pub(super) struct Table {
    splitter: csv_core::Reader,
    /// For each column, its place in [`FIELDS`]. Empty before the header.
    columns: Vec<usize>,
    /// The fields of a record, one behind the other.
    fields: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

/// How many fields a record may have to be looked at. More than columns, so that one too many can be named.
const MAX_FIELDS: usize = 64;

impl Default for Table {
    fn default() -> Self {
        // A record comes with a line feed at its end. By default a CR would end it, too.
        let splitter = ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build();
        Self { splitter, columns: Vec::new(), fields: Vec::new(), ends: vec![0; MAX_FIELDS] }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Table {
    /// Whether the header is still to come.
    pub(super) const fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The order of the columns.
    pub(super) fn columns(&self) -> Vec<u8> {
        self.columns.iter().filter_map(|place| u8::try_from(*place).ok()).collect()
    }

    /// Reads the header. Returns whether only an export has all of these columns.
    pub(super) fn read_header(&mut self, record: &[u8]) -> Result<bool, Fault> {
        let mut columns = Vec::with_capacity(FIELDS.len());
        for name in self.split(record)? {
            let place = FIELDS.iter().position(|field| *field == name).ok_or_else(|| Fault::unknown_column(name))?;
            if columns.contains(&place) {
                return Err(Fault::repeated_column(name));
            }
            columns.push(place);
        }
        for (place, field) in FIELDS.iter().enumerate().filter(|(_, field)| matches!(**field, "name" | "email")) {
            if !columns.contains(&place) {
                return Err(Fault::missing_column(field));
            }
        }
        let is_exported = (0..EXPORTED_EARLIER).all(|place| columns.contains(&place));
        self.columns = columns;
        Ok(is_exported)
    }

    /// Reads a record behind the header.
    pub(super) fn parse(&mut self, record: &[u8]) -> Result<Parsed, Fault> {
        let columns = std::mem::take(&mut self.columns);
        let parsed = self.split(record).and_then(|cells| content(&columns, cells));
        self.columns = columns;
        Ok(Parsed { content: parsed?, is_exported: false })
    }

    /// Splits a record into its fields.
    fn split(&mut self, record: &[u8]) -> Result<impl ExactSizeIterator<Item = &str>, Fault> {
        std::str::from_utf8(record).map_err(|_| Fault::NOT_UTF8)?;
        self.fields.resize(record.len() + 1, 0);
        let (_, _, written, ended) = self.splitter.read_record(record, &mut self.fields, &mut self.ends);
        let (_, rest) = self.fields.split_at_mut(written);
        let (_, ends) = self.ends.split_at_mut(ended);
        let (result, _, _, last) = self.splitter.read_record(b"\n", rest, ends);
        if result != ReadRecordResult::Record {
            self.splitter.reset();
            return Err(Fault::TOO_MANY_FIELDS);
        }
        let mut begin = 0;
        let fields = &self.fields;
        Ok(self.ends.iter().take(ended + last).map(move |end| {
            let field = fields.get(std::mem::replace(&mut begin, *end)..*end).unwrap_or_default();
            // The parts of a text between ASCII characters are texts.
            std::str::from_utf8(field).unwrap_or_default()
        }))
    }
}

fn content<'a>(columns: &[usize], cells: impl ExactSizeIterator<Item = &'a str>) -> Result<Content, Fault> {
    if cells.len() < columns.len() {
        return Err(Fault::TOO_FEW_FIELDS);
    }
    if cells.len() > columns.len() {
        return Err(Fault::TOO_MANY_FIELDS);
    }
    let mut values = FIELDS.map(|_| None);
    for (place, cell) in columns.iter().zip(cells) {
        if let Some(value) = values.get_mut(*place) {
            *value = Some(cell);
        }
    }
    let [id, name, email, rest @ ..] = values;
    let (name, email) = (name.unwrap_or_default(), email.unwrap_or_default());
    if id == Some(END) {
        let is_alone = email.is_empty() && rest.into_iter().flatten().all(str::is_empty);
        let users = name.parse().ok().filter(|_| is_alone && name.bytes().all(|byte| byte.is_ascii_digit()));
        return Ok(Content::End { users: users.ok_or(Fault::MALFORMED_END)? });
    }
    let [_, _, _, external_id, status, attributes] = rest;
    let profile = RawProfile {
        external_id: assignment("external_id", external_id)?,
        status: status
            .map(|cell| if cell.is_empty() { Ok(ACTIVE.to_owned()) } else { value("status", cell) })
            .transpose()?,
        attributes: assignment("attributes", attributes)?,
        merges: false,
        ..RawProfile::default()
    };
    Ok(Content::User { name: value("name", name)?, email: value("email", email)?, profile })
}

/// What no status means.
const ACTIVE: &str = Status::Active.as_str();

/// A cell of a column that the file may lack. An empty one says that the user has none.
fn assignment(field: &str, cell: Option<&str>) -> Result<Assignment<String>, Fault> {
    match cell {
        None => Ok(Assignment::Keep),
        Some("") => Ok(Assignment::Remove),
        Some(cell) => value(field, cell).map(Assignment::Set),
    }
}

fn value(field: &str, cell: &str) -> Result<String, Fault> {
    if cell.contains('\0') { Err(Fault::nul_in(field)) } else { Ok(unguard(cell).into_owned()) }
}

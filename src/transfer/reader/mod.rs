//! Reads users from a file, whose bytes come in chunks that are cut anywhere.
//!
//! A record that cannot be read is an error of its own, and reading goes on with the next one. An error of the whole file,
//! such as a header without a column, ends it.

mod csv;
mod fault;
mod ndjson;
mod record;
mod records;

use csv::Table;
use record::Parsed;
use records::{RawRecord, Records};

pub use fault::{Broken, Fault};
pub use record::{Content, Ending, Finished, Record};
pub use records::MAX_RECORD;

use crate::transfer::format::Format;

/// Reads the records of one file. Holds at most one record.
#[derive(Debug)]
pub struct Reader {
    records: Records,
    syntax: Syntax,
    /// How many records there were so far, whatever they hold.
    count: u64,
    /// Whether the file is one that has to say where it ends: an export.
    has_end: bool,
    /// The line of the first record, if the file is the rest of one.
    resumes_at: Option<u64>,
    state: State,
}

#[derive(Debug)]
enum Syntax {
    Ndjson,
    Csv(Box<Table>),
}

#[derive(Debug)]
enum State {
    Reading,
    Ended,
    Broken(Broken),
}

impl Reader {
    /// A reader of a file in this format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let (records, syntax) = match format {
            Format::Ndjson => (Records::of_lines(), Syntax::Ndjson),
            Format::Csv => (Records::of_csv(), Syntax::Csv(Box::default())),
        };
        Self { records, syntax, count: 0, has_end: false, resumes_at: None, state: State::Reading }
    }

    /// A reader of the rest of a file: of what begins at `line`, after so many records, and with an end if it must have
    /// one. In CSV the header stands before
    /// it all the same.
    #[must_use]
    pub fn of_rest(format: Format, line: u64, records: u64, must_end: bool) -> Self {
        let mut reader = Self { count: records, has_end: must_end, resumes_at: Some(line), ..Self::new(format) };
        if format == Format::Ndjson {
            reader.records.go_on_at(line);
        }
        reader
    }

    /// The line that is read, from 1: after a record the one behind it.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.records.line()
    }

    /// Whether the file is an export, as far as it was read: then it has to say where it ends.
    #[must_use]
    pub const fn must_end(&self) -> bool {
        self.has_end
    }

    /// What tells files apart whose columns have another order. Empty in NDJSON.
    #[must_use]
    pub fn columns(&self) -> Vec<u8> {
        match &self.syntax {
            Syntax::Ndjson => Vec::new(),
            Syntax::Csv(table) => table.columns(),
        }
    }

    /// The next record, as soon as all of it has come. Takes from `bytes` what it has looked at; `None` when it needs
    /// more, and after an error of the whole file ([`is_broken`](Self::is_broken)).
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Record> {
        while !self.is_broken() {
            let raw = self.records.next(bytes)?;
            if let Some(record) = self.record(raw) {
                return Some(record);
            }
        }
        *bytes = &[];
        None
    }

    /// Whether the file as a whole is in error, so that there will be no more records. [`finish`](Self::finish) says why.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken(_))
    }

    /// Ends reading: no more bytes will come.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let last = if self.is_broken() { None } else { self.records.finish() };
        let last = last.and_then(|raw| self.record(raw));
        let line = self.records.line();
        let broken = |fault| Err(Broken { line, fault });
        let ending = match self.state {
            State::Broken(broken) => Err(broken),
            State::Ended => Ok(Ending::Marked),
            State::Reading if matches!(&self.syntax, Syntax::Csv(table) if table.is_empty()) => {
                broken(Fault::NO_HEADER)
            }
            State::Reading if self.has_end => broken(Fault::CUT_SHORT),
            State::Reading => Ok(Ending::Unmarked),
        };
        Finished { last, must_end: self.has_end, ending }
    }

    /// Reads a record. `None` if there is nothing to give back: it is a header, or the file is broken.
    fn record(&mut self, RawRecord { line, bytes, fault }: RawRecord) -> Option<Record> {
        if matches!(self.state, State::Ended) {
            return self.fail(line, Fault::AFTER_END);
        }
        let content = match (&mut self.syntax, fault) {
            (Syntax::Csv(table), fault) if table.is_empty() => {
                match fault.map_or_else(|| table.read_header(&bytes), Err) {
                    Ok(is_exported) => {
                        self.has_end |= is_exported;
                        if let Some(line) = self.resumes_at {
                            self.records.go_on_at(line);
                        }
                    }
                    Err(fault) => return self.fail(line, fault),
                }
                return None;
            }
            (_, Some(fault)) => Err(fault),
            (Syntax::Ndjson, None) => ndjson::parse(&bytes),
            (Syntax::Csv(table), None) => table.parse(&bytes),
        };
        let content = match content {
            Ok(Parsed { content: Content::End { users }, .. }) if users != self.count => {
                return self.fail(line, Fault::WRONG_COUNT);
            }
            Ok(Parsed { content: end @ Content::End { .. }, .. }) => {
                self.state = State::Ended;
                Ok(end)
            }
            Err(fault) if fault == Fault::MALFORMED_END => return self.fail(line, fault),
            Ok(Parsed { content, is_exported }) => {
                self.has_end |= is_exported;
                self.count += 1;
                Ok(content)
            }
            Err(fault) => {
                self.count += 1;
                Err(fault)
            }
        };
        Some(Record { line, raw: bytes, content })
    }

    fn fail(&mut self, line: u64, fault: Fault) -> Option<Record> {
        self.state = State::Broken(Broken { line, fault });
        None
    }
}

#[cfg(test)]
mod tests;

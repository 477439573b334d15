//! Cuts the bytes of a file into records, and bounds each of them.

use super::fault::Fault;

/// The most bytes of a record, without the end of its line.
pub const MAX_RECORD: usize = 64 << 10;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// The records of a file: its lines, or in CSV what ends outside of quotes.
#[derive(Debug)]
pub(super) struct Records {
    /// What the quotes say, in CSV.
    quotes: Option<Quotes>,
    /// The line that is read, from 1.
    line: u64,
    /// The line at which the record begins.
    begins: u64,
    /// What has come of the record.
    pub(super) bytes: Vec<u8>,
    /// Why the record cannot be read. The rest of it is skipped up to the next end of a line, whether or not that is
    /// within quotes: one quote too many must not take the whole file with it.
    fault: Option<Fault>,
    /// How many bytes of a byte order mark have come. `None` when there can be none any more.
    bom: Option<usize>,
}

/// A record that is not parsed yet.
#[derive(Debug)]
pub(super) struct RawRecord {
    pub(super) line: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) fault: Option<Fault>,
}

/// Where the next byte stands in a CSV record.
#[derive(Clone, Copy, Debug)]
enum Quotes {
    /// At the beginning of a field.
    Begin,
    /// In a field without quotes.
    Bare,
    /// Between the quotes of a field.
    Within,
    /// After a quote that ends a field, or is the first of two that stand for one.
    After,
    /// After a field in quotes and a CR, so before the end of the line.
    BeforeEnd,
}

impl Records {
    pub(super) const fn of_lines() -> Self {
        Self { quotes: None, line: 1, begins: 1, bytes: Vec::new(), fault: None, bom: Some(0) }
    }

    pub(super) fn of_csv() -> Self {
        Self { quotes: Some(Quotes::Begin), ..Self::of_lines() }
    }

    /// The line that is read.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// Says that what comes next is this line.
    pub(super) const fn go_on_at(&mut self, line: u64) {
        self.line = line;
        self.begins = line;
    }

    /// The next record that is not empty, as soon as all of it has come.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<RawRecord> {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if self.ends_at(*byte)
                && let Some(record) = self.take()
            {
                return Some(record);
            }
        }
        None
    }

    /// The record whose line has no end, if there is one.
    pub(super) fn finish(&mut self) -> Option<RawRecord> {
        if let Some(Quotes::Within) = self.quotes {
            self.fault.get_or_insert(Fault::OPEN_QUOTE);
        }
        self.take()
    }

    /// Takes in a byte. Returns whether it ends the record.
    fn ends_at(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            self.line += 1;
        }
        if self.fault.is_some() {
            self.keep(byte);
            return byte == b'\n';
        }
        if self.is_bom(byte) {
            self.bytes.push(byte);
            return false;
        }
        match self.quotes.map(|quotes| quotes.before(byte)) {
            None if byte == b'\n' => return true,
            None => {}
            Some(Ok(None)) => return true,
            Some(Ok(next)) => self.quotes = next,
            Some(Err(fault)) => self.fault = Some(fault),
        }
        if !self.keep(byte) {
            let is_open = matches!(self.quotes, Some(Quotes::Within)) && self.line > self.begins;
            self.fault = Some(if is_open { Fault::OPEN_QUOTE } else { Fault::TOO_LONG });
        }
        self.fault.is_some() && byte == b'\n'
    }

    /// Whether the byte belongs to the byte order mark at the beginning of the file.
    fn is_bom(&mut self, byte: u8) -> bool {
        let Some(seen) = self.bom else { return false };
        if BOM.get(seen) == Some(&byte) {
            self.bom = Some(seen + 1);
            return true;
        }
        if (1..BOM.len()).contains(&seen)
            && let Some(quotes) = &mut self.quotes
        {
            *quotes = Quotes::Bare;
        }
        self.bom = None;
        if seen == BOM.len() {
            self.bytes.clear();
        }
        false
    }

    /// Keeps a byte of the record. Returns whether there was room: for the record and a CR.
    fn keep(&mut self, byte: u8) -> bool {
        let has_room = self.bytes.len() <= MAX_RECORD;
        if has_room {
            self.bytes.push(byte);
        }
        has_room
    }

    /// Begins the next record. `None` if this one is empty.
    fn take(&mut self) -> Option<RawRecord> {
        if self.bom == Some(BOM.len()) {
            // Nothing but the mark.
            self.bytes.clear();
        }
        self.bom = None;
        let (mut bytes, mut fault) = (std::mem::take(&mut self.bytes), self.fault.take());
        let line = std::mem::replace(&mut self.begins, self.line);
        if self.quotes.is_some() {
            self.quotes = Some(Quotes::Begin);
        }
        for end in [b'\n', b'\r'] {
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
        }
        if bytes.len() > MAX_RECORD {
            bytes.truncate(MAX_RECORD);
            fault.get_or_insert(Fault::TOO_LONG);
        }
        let is_empty = match self.quotes {
            Some(_) => bytes.is_empty(),
            None => bytes.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')),
        };
        (!is_empty || fault.is_some()).then_some(RawRecord { line, bytes, fault })
    }
}

impl Quotes {
    /// Where the byte after this one stands. `None` if this one ends the record.
    fn before(self, byte: u8) -> Result<Option<Self>, Fault> {
        Ok(Some(match (self, byte) {
            (Self::Begin | Self::Bare | Self::After | Self::BeforeEnd, b'\n') => return Ok(None),
            (Self::Begin | Self::After, b'"') | (Self::Within, 0..b'"' | b'#'..) => Self::Within,
            (Self::Within, b'"') => Self::After,
            (Self::Begin | Self::Bare | Self::After, b',') => Self::Begin,
            (Self::After, b'\r') => Self::BeforeEnd,
            (Self::Bare, b'"') | (Self::After | Self::BeforeEnd, _) => return Err(Fault::STRAY_QUOTE),
            (Self::Begin | Self::Bare, _) => Self::Bare,
        }))
    }
}

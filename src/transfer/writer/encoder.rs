//! A file as bytes to send, compressed or not.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::records::Writer;
use crate::domain::User;
use crate::transfer::format::Format;

/// Writes a file, and gives away what is ready of it.
#[derive(Debug)]
pub struct Encoder {
    writer: Writer,
    output: Output,
    /// What was written last, on its way into the compression.
    written: Vec<u8>,
}

#[derive(Debug)]
enum Output {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// Begins a file, compressed by gzip if that is wanted.
    ///
    /// # Errors
    /// When compressing fails, as with the other methods.
    pub fn new(format: Format, gzip: bool) -> io::Result<Self> {
        let output = if gzip {
            // Files are large, and read once: a better compression takes several times as long.
            Output::Gzip(GzEncoder::new(Vec::new(), Compression::fast()))
        } else {
            Output::Plain(Vec::new())
        };
        let mut encoder = Self { writer: Writer::new(format), output, written: Vec::new() };
        encoder.writer.head(&mut encoder.written);
        encoder.pass_on()?;
        Ok(encoder)
    }

    /// Writes a user.
    ///
    /// # Errors
    /// When compressing fails.
    pub fn user(&mut self, user: &User) -> io::Result<()> {
        self.writer.user(user, &mut self.written);
        self.pass_on()
    }

    /// How many bytes are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        match &self.output {
            Output::Plain(ready) => ready.len(),
            Output::Gzip(gzip) => gzip.get_ref().len(),
        }
    }

    /// Takes the bytes that are ready.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.output {
            Output::Plain(ready) => std::mem::take(ready),
            Output::Gzip(gzip) => std::mem::take(gzip.get_mut()),
        }
    }

    /// Ends the file, and returns the rest of its bytes.
    ///
    /// # Errors
    /// When compressing fails.
    pub fn finish(mut self) -> io::Result<Vec<u8>> {
        self.writer.end(&mut self.written);
        self.pass_on()?;
        match self.output {
            Output::Plain(ready) => Ok(ready),
            Output::Gzip(gzip) => gzip.finish(),
        }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        match &mut self.output {
            Output::Plain(ready) => ready.append(&mut self.written),
            Output::Gzip(gzip) => {
                gzip.write_all(&self.written)?;
                self.written.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::transfer::writer::tests::{file, user};

    #[test]
    fn both_outputs_hold_the_same_file() {
        let users = Vec::from_iter((1..=2000).map(|id| user(id, "Ada", &format!("ada{id}@example.com"))));
        for (format, gzip) in
            [(Format::Ndjson, false), (Format::Csv, false), (Format::Ndjson, true), (Format::Csv, true)]
        {
            let (mut encoder, mut bytes) = (Encoder::new(format, gzip).unwrap(), Vec::new());
            for user in &users {
                encoder.user(user).unwrap();
                if encoder.ready() > 5000 {
                    bytes.extend(encoder.take());
                }
            }
            bytes.extend(encoder.finish().unwrap());
            let plain = if gzip {
                let mut plain = Vec::new();
                GzDecoder::new(&*bytes).read_to_end(&mut plain).unwrap();
                plain
            } else {
                bytes
            };
            assert_eq!(plain, file(format, &users));
        }
    }
}

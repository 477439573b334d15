//! Finds the boundaries of HTTP/2 frames (RFC 9113, 4.1), without parsing their content.

use std::io;

/// The size of a frame header, in bytes.
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// The largest payload, in bytes. Every peer may send frames of this size (RFC 9113, 4.2), and this server does not
/// allow larger ones.
const MAX_PAYLOAD: u32 = 16 << 10;

/// Follows the bytes of a connection after its preface.
pub(super) struct Frames {
    /// Whether a call's headers may be larger than a frame.
    may_continue: bool,

    /// The bytes received so far of the next frame header.
    header: Vec<u8>,
    /// The bytes of the payload still to come.
    left: usize,
    is_of_call: bool,
}

/// What the bytes have completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// The headers of a call, or a chunk of its message.
    CallChunk,
    /// Nothing that takes memory.
    Nothing,
}

impl Frames {
    pub(super) fn new(max_head_bytes: u32) -> Self {
        Self { may_continue: max_head_bytes > MAX_PAYLOAD, header: Vec::new(), left: 0, is_of_call: false }
    }

    /// The number of bytes up to the end of the current frame header or payload.
    pub(super) fn up_to_boundary(&self) -> usize {
        if self.left > 0 { self.left } else { HEADER - self.header.len() }
    }

    /// Processes the next bytes, which must not extend beyond the boundary.
    ///
    /// # Errors
    /// When a call's headers come in several frames although they would fit into one. h2 would have to keep the first
    /// frames for as long as the client likes.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> io::Result<Passed> {
        if self.left > 0 {
            self.left = self.left.saturating_sub(bytes.len());
        } else {
            self.header.extend_from_slice(bytes);
            let &[high, middle, low, kind, flags, _, _, _, _] = self.header.as_slice() else {
                return Ok(Passed::Nothing);
            };
            self.header.clear();
            self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            self.is_of_call = matches!(kind, DATA | HEADERS | CONTINUATION);
            if kind == HEADERS && flags & END_HEADERS == 0 && !self.may_continue {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(if self.left == 0 && self.is_of_call { Passed::CallChunk } else { Passed::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
    const CALL: &[u8] = b"\0\0\x02\x01\x04\0\0\0\x01ab";
    const EMPTY: &[u8] = b"\0\0\0\0\x01\0\0\0\x01";

    /// The positions where a chunk of a call is complete, if the bytes arrive in parts of up to `at_once`.
    fn passed(bytes: &[u8], at_once: usize) -> Vec<usize> {
        let (mut frames, mut at, mut ends) = (Frames::new(MAX_PAYLOAD), 0, Vec::new());
        while at < bytes.len() {
            let length = frames.up_to_boundary().min(at_once).min(bytes.len() - at);
            let passed = frames.pass(&bytes[at..at + length]).unwrap();
            at += length;
            if passed == Passed::CallChunk {
                ends.push(at);
            }
        }
        ends
    }

    #[test]
    fn chunks_of_calls_are_found() {
        let bytes = [SETTINGS, CALL, EMPTY, SETTINGS, CALL].concat();
        for at_once in [1, 2, 5, 9, 1000] {
            assert_eq!(passed(&bytes, at_once), [26, 35, 61], "{at_once}");
        }
    }

    #[test]
    fn headers_that_fit_into_a_frame_must_not_be_split() {
        let unfinished = b"\0\0\x02\x01\0\0\0\0\x01";
        assert!(Frames::new(MAX_PAYLOAD).pass(unfinished).is_err());
        assert!(Frames::new(MAX_PAYLOAD + 1).pass(unfinished).is_ok());
    }
}

//! Where HTTP/2's frames begin and end (RFC 9113, 4.1), without what they hold.

use std::io;

/// The head of a frame, in bytes.
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// The largest payload of a frame that everybody may send (RFC 9113, 4.2), in bytes; and here nobody may send larger ones.
const LARGEST: u32 = 16 << 10;

/// Follows the bytes of a connection after its preface.
pub(super) struct Frames {
    /// Whether the head of a call may be larger than a frame.
    may_continue: bool,

    /// As much as has come of the next head.
    head: Vec<u8>,
    /// How much of the payload is yet to come.
    left: usize,
    is_of_call: bool,
}

/// What is complete with some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// A head, or a piece of a message.
    PieceOfCall,
    /// Nothing that costs anybody memory.
    Nothing,
}

impl Frames {
    pub(super) fn new(max_head_bytes: u32) -> Self {
        Self { may_continue: max_head_bytes > LARGEST, head: Vec::new(), left: 0, is_of_call: false }
    }

    /// How many bytes are left of what has begun; a head, or what follows it.
    pub(super) fn up_to_boundary(&self) -> usize {
        if self.left > 0 { self.left } else { HEAD - self.head.len() }
    }

    /// Follows the next bytes, no more of them than up to the boundary.
    ///
    /// # Errors
    /// For the head of a call in several frames although one has room for it: what has come of it would have to be kept for as
    /// long as the client likes.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> io::Result<Passed> {
        if self.left > 0 {
            self.left = self.left.saturating_sub(bytes.len());
        } else {
            self.head.extend_from_slice(bytes);
            let &[high, middle, low, kind, flags, _, _, _, _] = self.head.as_slice() else {
                return Ok(Passed::Nothing);
            };
            self.head.clear();
            self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            self.is_of_call = matches!(kind, DATA | HEADERS | CONTINUATION);
            if kind == HEADERS && flags & END_HEADERS == 0 && !self.may_continue {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(if self.left == 0 && self.is_of_call { Passed::PieceOfCall } else { Passed::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
    const CALL: &[u8] = b"\0\0\x02\x01\x04\0\0\0\x01ab";
    const EMPTY: &[u8] = b"\0\0\0\0\x01\0\0\0\x01";

    /// What is told of these bytes, when so many come at once at the most.
    fn passed(bytes: &[u8], at_once: usize) -> Vec<usize> {
        let (mut frames, mut at, mut ends) = (Frames::new(LARGEST), 0, Vec::new());
        while at < bytes.len() {
            let length = frames.up_to_boundary().min(at_once).min(bytes.len() - at);
            let passed = frames.pass(&bytes[at..at + length]).unwrap();
            at += length;
            if passed == Passed::PieceOfCall {
                ends.push(at);
            }
        }
        ends
    }

    #[test]
    fn it_knows_where_calls_have_come_by_a_piece() {
        let bytes = [SETTINGS, CALL, EMPTY, SETTINGS, CALL].concat();
        for at_once in [1, 2, 5, 9, 1000] {
            assert_eq!(passed(&bytes, at_once), [26, 35, 61], "{at_once}");
        }
    }

    #[test]
    fn a_head_that_fits_into_a_frame_comes_in_one() {
        let unfinished = b"\0\0\x02\x01\0\0\0\0\x01";
        assert!(Frames::new(LARGEST).pass(unfinished).is_err());
        assert!(Frames::new(LARGEST + 1).pass(unfinished).is_ok());
    }
}

//! Users as files, in NDJSON and CSV. Pure: bytes in, bytes out.
//!
//! - [`Writer`] writes a user after the other, and [`Encoder`] compresses what it writes if that is wanted.
//! - [`Reader`] takes the bytes of a file as they come, and gives back one record after the other. It holds no more than
//!   one record of 64 KiB.
//!
//! A file says at its end that it is whole, and how many users it has: one that was cut cannot be taken for a whole one.
//! A file made by hand needs no such end; but one with all that an export has, id, version and times included, is an
//! export and has to end as one.

mod format;
mod reader;
mod writer;

pub use format::{Format, form_of};
pub use reader::{Broken, Content, Ending, Fault, Finished, MAX_RECORD, Reader, Record};
pub use writer::{Encoder, Writer};

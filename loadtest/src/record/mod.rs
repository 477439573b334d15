//! What one thread sees of its requests: totals, and a window for each second or so.

pub(crate) mod histogram;
mod live;
mod recorder;
mod samples;
mod server_timing;

pub(crate) use histogram::Latencies;
pub(crate) use live::Live;
pub(crate) use recorder::{Clock, Failure, Observed, Operation, Recorder, Recording, Window};
pub(crate) use samples::{Sample, Samples};
pub(crate) use server_timing::ServerTiming;

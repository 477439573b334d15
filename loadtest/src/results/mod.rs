//! What is known of a run, in a file, and what follows from it.

pub(crate) mod comparison;
mod file;
mod merge;
pub(crate) mod numbers;
pub(crate) mod series;
mod summary;
mod verdict;

pub(crate) use file::{Generator, Options, Run, Tick, read, write};
pub(crate) use merge::merge;
pub(crate) use summary::summary;
pub(crate) use verdict::verdicts;

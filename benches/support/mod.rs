//! What every bench stands on: the same work, done by the service as it ships and done the classic way, on each database.

mod classic;
mod client;
mod compare;
mod database;
mod service;
mod work;

pub(crate) use compare::{compare, settings};
pub(crate) use work::{Work, scatter};

//! What all benches share: the same work, done by the service as it ships and done the classic way, on each database.

mod batch_size;
mod cases;
mod classic;
mod client;
mod compare;
pub(crate) mod database;
pub(crate) mod service;
mod table;
pub(crate) mod token;
pub(crate) mod trial;
mod work;

pub(crate) use batch_size::vary_batch_size;
pub(crate) use cases::settings;
pub(crate) use client::get;
pub(crate) use compare::compare;
pub(crate) use token::headers;
pub(crate) use work::{Script, USERS, Work, alike, scatter};

//! What all tests share: a service, the load tester, and the file of a run.

mod load;
mod service;

pub(crate) use load::{Load, Output, finish, number};
pub(crate) use service::Service;

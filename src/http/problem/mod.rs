//! Why requests fail, and what the client gets to see.
//!
//! A handler returns a [`Failure`], which knows no version of the API. [`error_response`] writes it down: as problem
//! details (RFC 9457), or for version 1 in that version's own form.

mod details;
mod failure;
mod operation;
mod response;
mod v1_error;

pub(crate) use details::Problem;
pub(crate) use failure::Failure;
pub(crate) use operation::{OperationFailure, OperationKind};
pub(crate) use response::error_response;
pub(crate) use v1_error::V1Error;

//! What a run sends.

mod kind;
mod names;
mod script;
mod users;

pub(crate) use kind::{Kind, Scenario};
pub(crate) use names::Names;
pub(crate) use script::{Call, Script};
pub(crate) use users::Users;

//! What is looked up, and what the database has answered.

use crate::domain::{EmailKey, User, UserId};

/// By what a user is looked up.
#[derive(Clone, Copy)]
pub(crate) enum LookupKey<'a> {
    Id(UserId),
    Address(&'a EmailKey),
}

/// What the database has answered.
pub(crate) struct Fill<'a> {
    pub(crate) key: LookupKey<'a>,
    pub(crate) user: Option<&'a User>,
}

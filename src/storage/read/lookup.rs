//! What a look-up asks for.

use std::collections::HashMap;

use crate::domain::{AsOf, EmailKey, User, UserId};
use crate::storage::user_cache::LookupKey;

/// Which user to get.
#[derive(Clone)]
pub(crate) enum Lookup {
    Id(UserId),
    Email(EmailKey),
}

/// What a look-up has found.
pub(crate) struct LookedUp {
    pub(crate) found: AsOf<Option<User>>,
    /// Whether it was in memory.
    pub(crate) is_hit: bool,
}

impl Lookup {
    /// By what the user cache knows it.
    pub(crate) const fn key(&self) -> LookupKey<'_> {
        match self {
            Self::Id(id) => LookupKey::Id(*id),
            Self::Email(key) => LookupKey::Address(key),
        }
    }

    /// Whether one column decides. Addresses that have two keys are not kept in memory.
    pub(super) const fn has_one_key(&self) -> bool {
        match self {
            Self::Id(_) => true,
            Self::Email(key) => key.is_plain(),
        }
    }
}

/// The users by the keys of their addresses. A user of an earlier release may have been found by another key, and two
/// such users may share one key. Then the first one wins; rows with keys come first.
pub(super) fn users_by_key(found: Vec<User>) -> HashMap<String, User> {
    let mut users = HashMap::with_capacity(found.len());
    for user in found {
        users.entry(user.email.key().into_string()).or_insert(user);
    }
    users
}

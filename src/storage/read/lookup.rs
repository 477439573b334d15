//! What a look-up asks for.

use std::collections::HashMap;

use crate::domain::{AsOf, EmailKey, ExternalId, User, UserId};
use crate::storage::user_cache::LookupKey;

/// Which user to get.
#[derive(Clone)]
pub(crate) enum Lookup {
    Id(UserId),
    Email(EmailKey),
    ExternalId(ExternalId),
}

/// What a look-up has found.
pub(crate) struct LookedUp {
    pub(crate) found: AsOf<Option<User>>,
    /// Whether it was in memory.
    pub(crate) is_hit: bool,
}

impl Lookup {
    /// By what the user cache knows it. External ids are not kept in memory.
    pub(crate) const fn key(&self) -> Option<LookupKey<'_>> {
        match self {
            Self::Id(id) => Some(LookupKey::Id(*id)),
            Self::Email(key) => Some(LookupKey::Address(key)),
            Self::ExternalId(_) => None,
        }
    }

    /// By what the user cache on PostgreSQL knows it: it keeps no addresses that have two keys.
    pub(super) fn cached_key(&self) -> Option<LookupKey<'_>> {
        self.key().filter(|key| !matches!(key, LookupKey::Address(key) if !key.is_plain()))
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

//! A create.

use crate::domain::{
    Attributes, EmailKey, ExternalId, Folded, NewUser, Once, Profile, Timestamp, User, UserId, Version,
};
use crate::telemetry::TracedSpan;

/// A user to create, with its keys. The caller's thread computes the keys, not the actor's.
pub(crate) struct Create {
    new: NewUser,
    name_key: Folded,
    email_key: EmailKey,
    trace: Option<TracedSpan>,
    once: Option<Once>,
}

impl Create {
    pub(crate) fn new(new: NewUser, trace: Option<TracedSpan>, once: Option<Once>) -> Self {
        Self { name_key: new.name.key(), email_key: new.email.key(), new, trace, once }
    }

    /// The user as it was parsed.
    pub(crate) const fn new_user(&self) -> &NewUser {
        &self.new
    }

    pub(crate) fn name(&self) -> &str {
        self.new.name.as_str()
    }

    pub(crate) fn name_key(&self) -> &str {
        self.name_key.as_str()
    }

    pub(crate) fn email(&self) -> &str {
        self.new.email.as_str()
    }

    pub(crate) const fn email_key(&self) -> &EmailKey {
        &self.email_key
    }

    pub(crate) fn profile(&self) -> Option<&Profile> {
        self.new.profile.as_deref()
    }

    pub(crate) fn external_id(&self) -> Option<&ExternalId> {
        self.new.external_id()
    }

    pub(crate) fn attributes(&self) -> Option<&str> {
        self.profile()?.attributes.as_ref().map(Attributes::as_str)
    }

    /// The span of the request, if it is traced.
    pub(crate) const fn trace(&self) -> Option<TracedSpan> {
        self.trace
    }

    pub(crate) const fn once(&self) -> Option<&Once> {
        self.once.as_ref()
    }

    /// The user as it was stored under this id.
    pub(crate) fn stored_as(&self, id: i64, now: Timestamp) -> User {
        User {
            id: UserId::stored(id),
            name: self.new.name.clone(),
            email: self.new.email.clone(),
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            profile: self.new.profile.clone(),
        }
    }
}

//! An update.

use crate::domain::{Changes, Email, EmailKey, ExternalId, Folded, Once, ProfileChange, UserId, UserName, Version};
use crate::telemetry::TracedSpan;

/// An update of a user, with the keys of the changed fields.
pub(crate) struct Update {
    pub(crate) id: UserId,
    pub(crate) expected: Option<Version>,
    changes: Changes,
    name_key: Option<Folded>,
    email_key: Option<EmailKey>,
    pub(crate) trace: Option<TracedSpan>,
    pub(crate) once: Option<Once>,
}

impl Update {
    pub(crate) fn new(
        id: UserId,
        expected: Option<Version>,
        changes: Changes,
        trace: Option<TracedSpan>,
        once: Option<Once>,
    ) -> Self {
        let name_key = changes.name.as_ref().map(UserName::key);
        let email_key = changes.email.as_ref().map(Email::key);
        Self { id, expected, changes, name_key, email_key, trace, once }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.changes.name.as_ref().map(UserName::as_str)
    }

    pub(crate) fn name_key(&self) -> Option<&str> {
        self.name_key.as_ref().map(Folded::as_str)
    }

    pub(crate) fn email(&self) -> Option<&str> {
        self.changes.email.as_ref().map(Email::as_str)
    }

    pub(crate) fn email_key(&self) -> Option<&str> {
        self.email_key.as_ref().map(EmailKey::legacy)
    }

    pub(crate) fn profile_change(&self) -> Option<&ProfileChange> {
        self.changes.profile.as_deref()
    }

    /// The external id that the user is to have.
    pub(crate) fn external_id(&self) -> Option<&ExternalId> {
        self.changes.external_id()
    }

    /// The keys of the new address.
    pub(crate) const fn new_address(&self) -> Option<&EmailKey> {
        self.email_key.as_ref()
    }

    pub(crate) fn address_key(&self) -> Option<&str> {
        self.email_key.as_ref().and_then(EmailKey::address_key)
    }
}

use prometheus::{IntCounter, Registry};

use super::register::register;

/// A change of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    Deleted,
}

#[derive(Clone)]
pub(super) struct Changes {
    created: IntCounter,
    updated: IntCounter,
    deleted: IntCounter,
}

impl Changes {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name, help| register(registry, IntCounter::new(name, help)?);
        Ok(Self {
            created: counter("users_created_total", "Users created, and committed, by this process.")?,
            updated: counter("users_updated_total", "Updates of users, committed, by this process.")?,
            deleted: counter("users_deleted_total", "Users deleted, and committed, by this process.")?,
        })
    }

    pub(super) fn count(&self, change: Change) {
        match change {
            Change::Created => self.created.inc(),
            Change::Updated => self.updated.inc(),
            Change::Deleted => self.deleted.inc(),
        }
    }
}

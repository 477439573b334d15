//! What a write is: a create, an update or a delete, with its conflict keys.

mod create;
mod delete;
pub(crate) mod plan;
mod update;

pub(crate) use create::Create;
pub(crate) use delete::Delete;
pub(crate) use update::Update;

use crate::domain::{EmailKey, Once, Operation, UserId};
use crate::metrics::Change;
use crate::storage::engine::conflict_key::ConflictKey;
use crate::telemetry::TracedSpan;

/// A write.
pub(crate) enum Write {
    Create(Create),
    Update(Update),
    Delete(Delete),
}

impl Write {
    pub(crate) fn new(operation: Operation, trace: Option<TracedSpan>, once: Option<Once>) -> Self {
        match operation {
            Operation::Create(new) => Self::Create(Create::new(new, trace, once)),
            Operation::Update { id, expected, changes } => {
                Self::Update(Update::new(id, expected, changes, trace, once))
            }
            Operation::Delete { id, expected } => Self::Delete(Delete { id, expected, trace, once }),
        }
    }

    /// The user to create, if this is a create.
    pub(super) const fn create(&self) -> Option<&Create> {
        if let Self::Create(create) = self { Some(create) } else { None }
    }

    /// The kind of change that the write makes.
    pub(super) const fn change(&self) -> Change {
        match self {
            Self::Create(_) => Change::Created,
            Self::Update(_) => Change::Updated,
            Self::Delete(_) => Change::Deleted,
        }
    }

    /// What the write is called by its caller, if it carries an idempotency key.
    pub(super) const fn once(&self) -> Option<&Once> {
        match self {
            Self::Create(create) => create.once(),
            Self::Update(update) => update.once.as_ref(),
            Self::Delete(delete) => delete.once.as_ref(),
        }
    }

    /// The user that is to be changed, if this is no create.
    pub(super) const fn user(&self) -> Option<UserId> {
        match self {
            Self::Create(_) => None,
            Self::Update(update) => Some(update.id),
            Self::Delete(delete) => Some(delete.id),
        }
    }

    /// The keys of the address that the user is to have.
    pub(crate) const fn new_address(&self) -> Option<&EmailKey> {
        match self {
            Self::Create(create) => Some(create.email_key()),
            Self::Update(update) => update.new_address(),
            Self::Delete(_) => None,
        }
    }

    /// The user and the addresses that the write changes.
    pub(super) fn keys(&self) -> [Option<ConflictKey<'_>>; 3] {
        let user = self.user().map(|id| ConflictKey::User(id.get()));
        let (legacy, address) = match self {
            Self::Create(create) => (Some(create.email_key().legacy()), create.email_key().address_key()),
            Self::Update(update) => (update.email_key(), update.address_key()),
            Self::Delete(_) => (None, None),
        };
        // If both keys of an address are the same, they count once: a write must not conflict with itself.
        let address = address.filter(|key| legacy != Some(key));
        [user, legacy.map(ConflictKey::Address), address.map(ConflictKey::Address)]
    }

    /// The texts that the write stores, each with the name of its field in the API.
    pub(super) fn texts(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Create(create) => vec![
                ("name", create.name()),
                ("name", create.name_key()),
                ("email", create.email()),
                ("email", create.email_key().legacy()),
            ],
            Self::Update(update) => {
                let name = [update.name(), update.name_key()].into_iter().flatten().map(|text| ("name", text));
                let email = [update.email(), update.email_key()].into_iter().flatten().map(|text| ("email", text));
                name.chain(email).collect()
            }
            Self::Delete(_) => Vec::new(),
        }
    }
}

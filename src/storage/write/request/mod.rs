//! What a write is: a create, an update or a delete, with its conflict keys.

mod create;
mod delete;
pub(crate) mod plan;
mod update;

pub(crate) use create::Create;
pub(crate) use delete::Delete;
pub(crate) use update::Update;

use crate::domain::{EmailKey, ExternalId, Once, Operation, ProfileChange, UserId};
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

    /// The external id that the user is to have.
    pub(super) fn external_id(&self) -> Option<&ExternalId> {
        match self {
            Self::Create(create) => create.external_id(),
            Self::Update(update) => update.external_id(),
            Self::Delete(_) => None,
        }
    }

    /// The user, the addresses and the external id that the write changes.
    pub(super) fn keys(&self) -> [Option<ConflictKey<'_>>; 4] {
        let user = self.user().map(|id| ConflictKey::User(id.get()));
        let (legacy, address) = match self {
            Self::Create(create) => (Some(create.email_key().legacy()), create.email_key().address_key()),
            Self::Update(update) => (update.email_key(), update.address_key()),
            Self::Delete(_) => (None, None),
        };
        // If both keys of an address are the same, they count once: a write must not conflict with itself.
        let address = address.filter(|key| legacy != Some(key));
        let external_id = self.external_id().map(|id| ConflictKey::ExternalId(id.as_str()));
        [user, legacy.map(ConflictKey::Address), address.map(ConflictKey::Address), external_id]
    }

    /// The texts that the write stores, each with the name of its field in the API.
    pub(super) fn texts(&self) -> Vec<(&'static str, &str)> {
        let external_id = self.external_id().map(|id| ("external_id", id.as_str()));
        let attributes = match self {
            Self::Create(create) => create.attributes(),
            Self::Update(update) => update.profile_change().and_then(ProfileChange::attributes_text),
            Self::Delete(_) => None,
        };
        let others = external_id.into_iter().chain(attributes.map(|text| ("attributes", text)));
        self.name_and_email().into_iter().chain(others).collect()
    }

    fn name_and_email(&self) -> Vec<(&'static str, &str)> {
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

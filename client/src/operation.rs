//! The operations of a batch.

use crate::fields::{UserFields, UserPatch};
use crate::user::Etag;

/// The most operations, ids or emails that one request may have.
pub(crate) const MAX_BATCH: usize = 1_000;

/// One operation of a batch, see [`Client::write_users`](crate::Client::write_users).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Creates a user.
    #[non_exhaustive]
    Create(UserFields),
    /// Changes some fields of a user.
    #[non_exhaustive]
    Update {
        /// The user's id.
        id: i64,
        /// The fields to change.
        patch: UserPatch,
        /// The only state in which the user is changed.
        etag: Option<Etag>,
    },
    /// Deletes a user.
    #[non_exhaustive]
    Delete {
        /// The user's id.
        id: i64,
        /// The only state in which the user is deleted.
        etag: Option<Etag>,
    },
}

impl Operation {
    /// Creates a user, as [`Client::create_user`](crate::Client::create_user) does.
    #[must_use]
    pub const fn create(fields: UserFields) -> Self {
        Self::Create(fields)
    }

    /// Changes some fields of a user, as [`Client::patch_user`](crate::Client::patch_user) does: with an etag, only if
    /// the user is still in that state.
    #[must_use]
    pub fn update(id: i64, patch: UserPatch, etag: Option<&Etag>) -> Self {
        Self::Update { id, patch, etag: etag.cloned() }
    }

    /// Deletes a user, as [`Client::delete_user`](crate::Client::delete_user) does: with an etag, only if the user is
    /// still in that state.
    #[must_use]
    pub fn delete(id: i64, etag: Option<&Etag>) -> Self {
        Self::Delete { id, etag: etag.cloned() }
    }

    /// Whether a user is there afterwards.
    pub(crate) const fn leaves_a_user(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Update { .. })
    }
}

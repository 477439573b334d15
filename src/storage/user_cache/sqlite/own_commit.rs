//! A commit of this process, as the cache sees it.

use std::sync::Arc;

use super::state::State;
use super::wal_index::Header;
use crate::domain::Position;
use crate::storage::user_cache::entries::UserChange;

/// A commit of this process that is about to be made. Dropping it is right if it was not made, or may have been.
pub(crate) struct OwnCommit {
    state: Arc<State>,
    before: Header,
}

impl OwnCommit {
    pub(super) fn begin(state: &Arc<State>) -> Option<Self> {
        Some(Self { before: state.begin_commit()?, state: Arc::clone(state) })
    }

    /// Takes in the changes of all users, and the end of the log if that has changed. The commit must have been made,
    /// and must have written something.
    pub(crate) fn take_in<'a>(self, changes: impl IntoIterator<Item = UserChange<'a>>, end: Option<Position>) {
        self.state.take_in(self.before, changes, end);
    }
}

impl Drop for OwnCommit {
    fn drop(&mut self) {
        self.state.end_commit();
    }
}

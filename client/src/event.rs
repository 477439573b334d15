//! Events: changes of users.

use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;

use crate::error::Failed;
use crate::user::User;

/// The notices of one connection, up to its first failure.
pub(crate) type Notices = BoxStream<'static, Result<Notice, Failed>>;

/// An item of the stream that [`Client::watch_users`](crate::Client::watch_users) returns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// The position in the stream. Resume from here with [`WatchUsers::after`].
    pub position: i64,
    /// The event. `None` at the beginning of the stream, and in heartbeats while there is no event.
    pub event: Option<Event>,
}

/// A change of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The `id` of the `CloudEvent`. It is the same in every delivery of the event.
    pub id: String,
    /// The type of the change.
    pub r#type: EventType,
    /// When the change was made, to the microsecond.
    pub time: DateTime<Utc>,
    /// The user's id.
    pub user_id: i64,
    /// The user's version after this change. A deletion increments it too, so of two events of one user, the one with
    /// the higher version is the later one.
    pub version: i64,
    /// The user after the change. `None` after a deletion.
    pub user: Option<User>,
    /// Whether the event says what the user's external id, status and attributes are. If not, an earlier release of the
    /// service has written it, and `user` holds none of them: keep what you know. A deletion says nothing about them.
    pub knows_profile: bool,
    /// The span that made the change (W3C Trace Context), if it was traced.
    pub traceparent: Option<String>,
}

/// The type of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// The user was created.
    Created,
    /// The user was updated.
    Updated,
    /// The user was deleted.
    Deleted,
}

impl EventType {
    const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    /// The name in `CloudEvents`, such as `user.created`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "user.created",
            Self::Updated => "user.updated",
            Self::Deleted => "user.deleted",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

/// Which changes to watch. By default all changes from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchUsers {
    pub(crate) after: Option<i64>,
    pub(crate) types: Vec<EventType>,
}

impl WatchUsers {
    /// All changes, from now on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Resumes after this [position](Notice::position).
    #[must_use]
    pub const fn after(mut self, position: i64) -> Self {
        self.after = Some(position);
        self
    }

    /// Only changes of these types.
    #[must_use]
    pub fn types(mut self, types: impl IntoIterator<Item = EventType>) -> Self {
        self.types = types.into_iter().collect();
        self
    }
}

//! Changes of users, as they are told.

use chrono::{DateTime, Utc};

use crate::user::User;

/// What a stream of changes tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// Where to go on from, another time: see [`WatchUsers::after`].
    pub position: i64,
    /// What happened. `None` first of all, and whenever there was nothing to tell for a while.
    pub event: Option<Event>,
}

/// That a user was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The same whenever and wherever the event is told: the `id` of its `CloudEvent`.
    pub id: String,
    /// What happened to the user.
    pub r#type: EventType,
    /// When it happened, to the microsecond.
    pub time: DateTime<Utc>,
    /// Of the user.
    pub user_id: i64,
    /// The user's, after this change. That of a deletion is one more than the last the user had: of two events of a user the
    /// one with the higher version is the later one.
    pub version: i64,
    /// The user as it became; `None` after a deletion.
    pub user: Option<User>,
    /// The span that the change was made in (W3C Trace Context), if it was traced.
    pub traceparent: Option<String>,
}

/// What happened to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// It was created.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
}

impl EventType {
    const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    /// Its name in `CloudEvents`, such as `user.created`.
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

/// Which changes to watch. All of them from now on, unless something else is said.
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

    /// Those that happened after this [position](Notice::position), and then what happens.
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

use crate::domain::{Change, Event};

/// The type of a change: the attribute `type` of `CloudEvents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    Created,
    Updated,
    Deleted,
}

impl EventType {
    pub const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    /// The type of an event.
    #[must_use]
    pub const fn of(event: &Event) -> Self {
        match event.change {
            Change::Created(_) => Self::Created,
            Change::Updated(_) => Self::Updated,
            Change::Deleted => Self::Deleted,
        }
    }

    /// Parses a type's name. `None` if it is unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// The schema of the event's data, if it is not the first one: see `docs/events/`.
    #[must_use]
    pub const fn schema(self) -> Option<&'static str> {
        match self {
            Self::Created => Some("urn:user-service:event:user.created:2"),
            Self::Updated => Some("urn:user-service:event:user.updated:2"),
            Self::Deleted => None,
        }
    }

    /// The type's name, such as `user.created`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "user.created",
            Self::Updated => "user.updated",
            Self::Deleted => "user.deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_parsed_by_their_names() {
        for known in EventType::ALL {
            assert_eq!(EventType::parse(known.as_str()), Some(known));
        }
        assert_eq!(EventType::parse("user.Created"), None);
    }
}

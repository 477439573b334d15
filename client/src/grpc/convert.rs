//! Converts messages to this crate's types. A message that lacks a field did not come from the current service.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use serde_json::{Map, Value};

use super::generated as pb;
use crate::error::Failed;
use crate::event::{Event, EventType, Notice};
use crate::user::{Status, User};

pub(super) fn user(user: Option<pb::User>) -> Result<User, Failed> {
    let user = user.ok_or_else(|| lacks("user"))?;
    let status = match pb::UserStatus::try_from(user.status).map_err(|_| lacks("status that is known"))? {
        // Of an earlier release.
        pb::UserStatus::Unspecified | pb::UserStatus::Active => Status::Active,
        pb::UserStatus::Disabled => Status::Disabled,
    };
    let pb::User { id, name, email, version, created_at, updated_at, external_id, attributes, .. } = user;
    Ok(User {
        id,
        name,
        email,
        version,
        created_at: time(created_at)?,
        updated_at: time(updated_at)?,
        external_id,
        status,
        attributes: object(&attributes)?,
    })
}

fn object(text: &str) -> Result<Map<String, Value>, Failed> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|_| lacks("attributes that can be read"))
}

/// In a request without one the status is unspecified.
pub(super) const fn status(status: Option<Status>) -> pb::UserStatus {
    match status {
        None => pb::UserStatus::Unspecified,
        Some(Status::Active) => pb::UserStatus::Active,
        Some(Status::Disabled) => pb::UserStatus::Disabled,
    }
}

pub(super) fn users(users: Vec<pb::User>) -> Result<Vec<User>, Failed> {
    users.into_iter().map(|it| user(Some(it))).collect()
}

pub(super) const fn event_type(known: EventType) -> pb::EventType {
    match known {
        EventType::Created => pb::EventType::UserCreated,
        EventType::Updated => pb::EventType::UserUpdated,
        EventType::Deleted => pb::EventType::UserDeleted,
    }
}

/// An event of an unknown type yields only its position.
pub(super) fn notice(message: pb::WatchUsersResponse) -> Result<Notice, Failed> {
    let event = message.event.map(event).transpose();
    let event = event.map_err(|_| Failed::foreign(format!("event {} lacks something", message.position)))?;
    Ok(Notice { position: message.position, event: event.flatten() })
}

fn event(event: pb::UserEvent) -> Result<Option<Event>, Failed> {
    let r#type = match event.r#type() {
        pb::EventType::Unspecified => return Ok(None),
        pb::EventType::UserCreated => EventType::Created,
        pb::EventType::UserUpdated => EventType::Updated,
        pb::EventType::UserDeleted => EventType::Deleted,
    };
    let knows_profile = event.user.as_ref().is_some_and(|user| user.status() != pb::UserStatus::Unspecified);
    let user = match r#type {
        EventType::Created | EventType::Updated => Some(user(event.user)?),
        EventType::Deleted => None,
    };
    let traceparent = Some(event.traceparent).filter(|text| !text.is_empty());
    let (id, user_id, version) = (event.id, event.user_id, event.version);
    Ok(Some(Event { id, r#type, time: time(event.time)?, user_id, version, user, knows_profile, traceparent }))
}

fn time(time: Option<Timestamp>) -> Result<DateTime<Utc>, Failed> {
    let Timestamp { seconds, nanos } = time.ok_or_else(|| lacks("time"))?;
    let nanos = u32::try_from(nanos).map_err(|_| lacks("time"))?;
    DateTime::from_timestamp(seconds, nanos).ok_or_else(|| lacks("time"))
}

/// Not [`Failed::Refused`]: if this is the response to a change, the change may have been made.
fn lacks(what: &str) -> Failed {
    Failed::NoAnswer(format!("the answer has no {what}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn john() -> pb::User {
        let at = Some(Timestamp { seconds: 1_700_000_000, nanos: 1000 });
        let (name, email, etag) = ("John".to_owned(), "john@example.com".to_owned(), "\"2\"".to_owned());
        pb::User { id: 7, name, email, version: 2, created_at: at, updated_at: at, etag, ..Default::default() }
    }

    fn notice_of(event: pb::UserEvent) -> Result<Notice, Failed> {
        notice(pb::WatchUsersResponse { position: 9, event: Some(event) })
    }

    #[test]
    fn etags_equal_those_of_the_service() {
        let user = user(Some(john())).unwrap();
        assert_eq!(user.etag().as_str(), john().etag);
        assert_eq!(user.created_at.to_rfc3339(), "2023-11-14T22:13:20.000001+00:00");
    }

    #[test]
    fn a_response_without_a_user_is_no_answer() {
        assert!(matches!(user(None), Err(Failed::NoAnswer(_))));
        assert!(user(Some(pb::User { created_at: None, ..john() })).is_err());
    }

    #[test]
    fn unknown_event_types_are_skipped() {
        let notice = notice_of(pb::UserEvent { r#type: 99, ..pb::UserEvent::default() }).unwrap();
        assert_eq!(notice, Notice { position: 9, event: None });
    }

    #[test]
    fn an_event_of_an_earlier_release_knows_no_profile() {
        for (status, knows_profile) in [(pb::UserStatus::Unspecified, false), (pb::UserStatus::Disabled, true)] {
            let user = Some(pb::User { status: status.into(), ..john() });
            let (r#type, time) = (pb::EventType::UserUpdated.into(), john().created_at);
            let event = pb::UserEvent { r#type, user, time, ..pb::UserEvent::default() };
            assert_eq!(notice_of(event).unwrap().event.unwrap().knows_profile, knows_profile);
        }
    }

    #[test]
    fn attributes_are_an_object() {
        let with = |attributes: &str| user(Some(pb::User { attributes: attributes.to_owned(), ..john() }));
        assert_eq!(with("").unwrap().attributes, Map::new());
        assert_eq!(with(r#"{"a":[1]}"#).unwrap().attributes["a"], serde_json::json!([1]));
        assert!(matches!(with("[]"), Err(Failed::NoAnswer(_))));
    }

    #[test]
    fn malformed_events_are_not_skipped() {
        let created = pb::UserEvent { r#type: pb::EventType::UserCreated.into(), ..pb::UserEvent::default() };
        assert!(matches!(notice_of(created), Err(Failed::Refused(_))));
    }
}

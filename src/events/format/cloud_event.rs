//! Renders an event as `CloudEvents` 1.0 in structured JSON. `docs/events/` has the schemas.

use serde::Serialize;
use serde_json::value::RawValue;

use super::event_type::EventType;
use crate::domain::{Attributes, Change, Event, ExternalId, Status, User};

/// Renders an event. `source` identifies the service, as a URI reference.
#[must_use]
pub fn to_json(event: &Event, source: &str) -> String {
    let event_type = EventType::of(event);
    let data = match &event.change {
        Change::Created(user) | Change::Updated(user) => Data::User(UserData::from(user)),
        Change::Deleted => Data::Gone { id: event.user_id.get(), version: event.version.0 },
    };
    let cloud_event = CloudEvent {
        specversion: "1.0",
        id: event.id.to_string(),
        source,
        r#type: event_type.as_str(),
        subject: event.user_id.to_string(),
        time: event.occurred_at.to_string(),
        datacontenttype: "application/json",
        dataschema: event_type.schema().filter(|_| event.knows_profile),
        // The extension compares sequences as texts, so they need leading zeros.
        sequence: format!("{:019}", event.version.0),
        traceparent: event.trace_parent.as_deref(),
        data,
    };
    // Serializing these types cannot fail.
    serde_json::to_string(&cloud_event).unwrap_or_default()
}

/// The attributes, and those of the extensions "sequence" and "distributed tracing".
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: &'static str,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    /// Missing if the writer did not know profiles: then the data does not say what the user's is.
    #[serde(skip_serializing_if = "Option::is_none")]
    dataschema: Option<&'static str>,
    sequence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    User(UserData<'a>),
    Gone { id: i64, version: i64 },
}

/// The user after the change.
#[derive(Serialize)]
struct UserData<'a> {
    id: i64,
    name: &'a str,
    email: &'a str,
    version: i64,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
}

impl<'a> From<&'a User> for UserData<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id.get(),
            name: user.name.as_str(),
            email: user.email.as_str(),
            version: user.version.0,
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
            external_id: user.external_id().map(ExternalId::as_str),
            status: user.shown_status().map(Status::as_str),
            attributes: user.attributes().map(Attributes::json),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{Email, Position, Profile, Timestamp, UserId, UserName, Version};

    fn event(change: Change, version: i64) -> Event {
        let occurred_at = Timestamp::from_unix_micros(1_700_000_000_000_001);
        let id = Event::uuid(occurred_at, 1, Position(9));
        let trace_parent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
        let (position, version) = (Position(9), Version(version));
        let user_id = UserId::stored(7);
        Event { position, id, occurred_at, user_id, version, change, knows_profile: true, trace_parent }
    }

    fn json_of(event: &Event) -> Value {
        serde_json::from_str(&to_json(event, "/users")).unwrap()
    }

    fn user() -> User {
        User {
            id: UserId::stored(7),
            name: UserName::stored("John".into()),
            email: Email::stored("john@example.com".into()),
            version: Version(2),
            created_at: Timestamp::from_unix_micros(1_600_000_000_000_000),
            updated_at: Timestamp::from_unix_micros(1_700_000_000_000_001),
            profile: None,
        }
    }

    #[test]
    fn an_update_contains_the_whole_user() {
        let event = event(Change::Updated(user()), 2);
        assert_eq!(
            json_of(&event),
            json!({
                "specversion": "1.0", "id": event.id.to_string(), "source": "/users", "type": "user.updated",
                "subject": "7", "time": "2023-11-14T22:13:20.000001Z", "datacontenttype": "application/json",
                "dataschema": "urn:user-service:event:user.updated:2", "sequence": "0000000000000000002",
                "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "data": { "id": 7, "name": "John", "email": "john@example.com", "version": 2,
                    "created_at": "2020-09-13T12:26:40.000000Z", "updated_at": "2023-11-14T22:13:20.000001Z" },
            })
        );
    }

    #[test]
    fn a_profile_is_shown_if_it_is_known() {
        let profile = Profile {
            external_id: Some(ExternalId::stored("x-1".into())),
            status: Status::Disabled,
            attributes: Attributes::stored(r#"{"n":1.10}"#.into()),
        };
        let with = |profile, knows_profile| {
            let user = User { profile, ..user() };
            to_json(&Event { knows_profile, ..event(Change::Updated(user), 2) }, "/users")
        };
        let text = with(profile.shared(), true);
        assert!(text.ends_with(r#""external_id":"x-1","status":"disabled","attributes":{"n":1.10}}}"#), "{text}");
        assert!(text.contains(r#""dataschema":"urn:user-service:event:user.updated:2""#), "{text}");
        let text = with(None, false);
        let hidden = ["dataschema", "status", "external_id", "attributes"];
        assert!(hidden.iter().all(|name| !text.contains(name)), "{text}");
    }

    #[test]
    fn a_deletion_contains_no_personal_data() {
        let event = Event { trace_parent: None, ..event(Change::Deleted, 3) };
        let json = json_of(&event);
        assert_eq!((&json["type"], &json["data"]), (&json!("user.deleted"), &json!({ "id": 7, "version": 3 })));
        assert!(json.get("traceparent").is_none());
    }
}

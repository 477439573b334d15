use serde_json::Value;
use user_service_checker::events::{Change, Event};

use crate::attributes;
use crate::clock::now;
use crate::support::proto::{EventType, UserEvent};

/// An event as the live stream and RabbitMQ show it. `None` if that is no event, or its attributes belong to another name.
pub fn of_json(position: u64, value: &Value) -> Option<Event> {
    let data = &value["data"];
    let text = |name: &str| data[name].as_str().map(str::to_owned);
    let change = match value["type"].as_str()? {
        "user.created" => Change::Created,
        "user.updated" => Change::Updated,
        "user.deleted" => Change::Deleted,
        _ => return None,
    };
    if let Some(name) = text("name") {
        attributes::belong_to(&name, &data["attributes"]).then_some(())?;
    }
    Some(Event {
        position,
        event_id: value["id"].as_str()?.to_owned(),
        change,
        id: data["id"].as_u64()?,
        version: data["version"].as_u64()?,
        name: text("name"),
        email: text("email"),
        time: now(),
    })
}

/// An event as `WatchUsers` shows it.
pub fn of_message(position: u64, event: UserEvent) -> Option<Event> {
    let change = match event.r#type() {
        EventType::UserCreated => Change::Created,
        EventType::UserUpdated => Change::Updated,
        EventType::UserDeleted => Change::Deleted,
        EventType::Unspecified => return None,
    };
    if let Some(user) = &event.user {
        attributes::belong_to(&user.name, &user.attributes.parse().unwrap_or_default()).then_some(())?;
    }
    let (name, email) = event.user.map(|user| (user.name, user.email)).unzip();
    let (id, version) = (u64::try_from(event.user_id).ok()?, u64::try_from(event.version).ok()?);
    Some(Event { position, event_id: event.id, change, id, version, name, email, time: now() })
}

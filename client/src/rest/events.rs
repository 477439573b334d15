//! The live stream: server-sent events (WHATWG HTML), each a `CloudEvents` 1.0 JSON.

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, future};
use reqwest::RequestBuilder;
use serde::Deserialize;
use sse_stream::{Sse, SseByteStream};

use super::answer;
use crate::error::Failed;
use crate::event::{Event, EventType, Notice, Notices};
use crate::user::User;

pub(super) async fn open(request: RequestBuilder) -> Result<Notices, Failed> {
    let response = answer::begin(request).await?;
    let content_type = response.headers().get(http::header::CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream")) {
        return Err(Failed::foreign("no stream of events"));
    }
    let blocks = SseByteStream::new(response.bytes_stream()).map_err(|error| Failed::NoAnswer(error.into()));
    Ok(blocks.and_then(|block| future::ready(read(block))).boxed())
}

/// A block without data yields only its position, and so does an event of an unknown type.
fn read(block: Sse) -> Result<Notice, Failed> {
    let position = block.id.as_deref().and_then(|id| id.parse().ok());
    let position = position.ok_or_else(|| Failed::foreign("a block of the stream has no id"))?;
    let event = block.data.map(|data| event(&data)).transpose();
    let event = event.map_err(|error| Failed::foreign(format!("event {position}: {error}")))?;
    Ok(Notice { position, event: event.flatten() })
}

fn event(json: &str) -> serde_json::Result<Option<Event>> {
    let Head { r#type } = serde_json::from_str(json)?;
    let Some(r#type) = EventType::parse(&r#type) else { return Ok(None) };
    let cloud_event: CloudEvent = serde_json::from_str(json)?;
    let Data { id: user_id, version } = Data::deserialize(&cloud_event.data)?;
    let user = match r#type {
        EventType::Created | EventType::Updated => Some(User::deserialize(&cloud_event.data)?),
        EventType::Deleted => None,
    };
    let CloudEvent { id, time, traceparent, dataschema, .. } = cloud_event;
    let knows_profile = dataschema.is_some();
    Ok(Some(Event { id, r#type, time, user_id, version, user, knows_profile, traceparent }))
}

#[derive(Deserialize)]
struct Head {
    r#type: String,
}

/// The attributes that the client reads.
#[derive(Deserialize)]
struct CloudEvent {
    id: String,
    time: DateTime<Utc>,
    traceparent: Option<String>,
    /// Events of earlier releases have none.
    dataschema: Option<String>,
    data: serde_json::Value,
}

/// The part of `data` that every event has.
#[derive(Deserialize)]
struct Data {
    id: i64,
    version: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(data: Option<&str>) -> Sse {
        let block = Sse::default().id("9");
        if let Some(data) = data { block.data(data) } else { block }
    }

    #[test]
    fn a_block_without_data_yields_its_position() {
        assert_eq!(read(block(None)).unwrap(), Notice { position: 9, event: None });
    }

    #[test]
    fn unknown_event_types_are_skipped() {
        let notice = read(block(Some(r#"{"type":"user.merged","data":7}"#))).unwrap();
        assert_eq!(notice, Notice { position: 9, event: None });
    }

    #[test]
    fn an_event_of_an_earlier_release_knows_no_profile() {
        let data = |schema| {
            format!(
                r#"{{"type":"user.created","id":"1","time":"2026-01-31T12:00:00Z"{schema},"data":{{"id":7,"name":"John",
                "email":"john@example.com","version":1,"created_at":"2026-01-31T12:00:00Z",
                "updated_at":"2026-01-31T12:00:00Z"}}}}"#
            )
        };
        for (schema, knows_profile) in [("", false), (r#","dataschema":"urn:user-service:event:user.created:2""#, true)]
        {
            let event = read(block(Some(&data(schema)))).unwrap().event.unwrap();
            assert_eq!(event.knows_profile, knows_profile, "{schema}");
        }
    }

    #[test]
    fn malformed_events_are_not_skipped() {
        for data in ["", "{}", r#"{"type":"user.created","id":"1","time":"2023-11-14T22:13:20Z","data":{"id":7}}"#] {
            assert!(matches!(read(block(Some(data))), Err(Failed::Refused(_))), "{data}");
        }
        assert!(read(Sse::default().data("{}")).is_err(), "no id");
    }
}

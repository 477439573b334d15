use std::convert::Infallible;

use actix_web::http::{ConnectionType, Method, Version};
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::error_responses::{CommonErrors, ResumeErrors};
use super::sse;
use crate::auth::Bearer;
use crate::events::{EventType, Feed, LiveStream, Next};
use crate::http::extract::{LastEventId, Query, parse_text};
use crate::http::problem::Failure;
use crate::net::Draining;

/// nginx would otherwise buffer the stream.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamEvents {
    /// Only events of these types: `user.created`, `user.updated` and `user.deleted`, separated by commas.
    #[serde(rename = "type", default = "all_types", deserialize_with = "types")]
    #[param(value_type = Option<String>, nullable = false, example = "user.created,user.deleted")]
    types: Vec<EventType>,
}

/// Streams all changes to users as they happen.
///
/// The stream is server-sent events (WHATWG HTML). Each holds a `CloudEvents` 1.0 JSON event, and is named by its type. The stream
/// starts with the next change, or after the event that `Last-Event-ID` names. It ends when the token expires and when the
/// service shuts down. A client that reconnects with the last id that it received misses nothing.
// "version 2" comes first: generators of clients name a module after the first tag.
#[utoipa::path(get, path = "/api/v2/events", tags = ["version 2", "events"], operation_id = "v2_stream_events",
    params(
        StreamEvents,
        ("Last-Event-ID" = Option<i64>, Header, minimum = 0, nullable = false,
            description = "The last `id` that the client received.")),
    responses(
        (status = OK, description = "The stream.", content_type = "text/event-stream", body = String),
        ResumeErrors, CommonErrors))]
pub(crate) async fn stream_events(
    feed: web::Data<Feed>,
    draining: web::Data<Draining>,
    query: Query<StreamEvents>,
    last_event_id: LastEventId,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut response = HttpResponse::Ok();
    response.content_type(sse::CONTENT).insert_header(UNBUFFERED);
    if *request.method() == Method::HEAD {
        // actix does not send the body of this response, but waits for its end.
        return Ok(response.streaming(stream::empty::<Result<Bytes, Infallible>>()));
    }
    let time_left = request.extensions().get::<Bearer>().map(Bearer::time_left).unwrap_or_default();
    let reader = feed.read(last_event_id.0, query.0.types).await?;
    let stream = LiveStream::new(reader, Draining::clone(&draining), time_left);
    let mut response = response.streaming(stream::unfold(Body { stream, has_begun: false }, Body::next));
    if request.version() < Version::HTTP_11 {
        // HTTP/1.0 has no chunked coding (RFC 9112, 6.1): the end of the connection is the end of the stream.
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn all_types() -> Vec<EventType> {
    EventType::ALL.to_vec()
}

fn types<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EventType>, D::Error> {
    parse_text(deserializer, parse_types)
}

/// Parses a list of types. Each counts once, however often the list names it.
fn parse_types(text: &str) -> Result<Vec<EventType>, &'static str> {
    let named = text.split(',').map(EventType::parse).collect::<Option<Vec<_>>>();
    let named = named.ok_or("must be user.created, user.updated or user.deleted, or several, between commas")?;
    Ok(EventType::ALL.into_iter().filter(|known| named.contains(known)).collect())
}

/// The body of the response.
struct Body {
    stream: LiveStream,
    has_begun: bool,
}

impl Body {
    /// Waits for the next chunk. `None` ends the body.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let chunk = if self.has_begun { self.chunk().await? } else { sse::beginning(self.stream.position()) };
        self.has_begun = true;
        Some((Ok(chunk.into()), self))
    }

    async fn chunk(&mut self) -> Option<String> {
        match self.stream.next().await {
            Next::Events(events) => Some(sse::blocks(&events)),
            Next::Nothing => Some(sse::heartbeat(self.stream.position())),
            // The client reconnects, and then gets an error if there is one.
            Next::End(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_ones() {
        assert_eq!(parse_types("user.deleted").unwrap(), [EventType::Deleted]);
        assert_eq!(
            parse_types("user.deleted,user.created,user.deleted").unwrap(),
            [EventType::Created, EventType::Deleted]
        );
        for text in ["", "user", "user.created,", ",user.created", " user.created"] {
            assert!(parse_types(text).is_err(), "{text}");
        }
    }
}

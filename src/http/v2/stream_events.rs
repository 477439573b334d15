use std::convert::Infallible;

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::http::{ConnectionType, Method, Version};
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use futures_util::stream;

use super::failures::{Failures, ResumeFailures};
use super::sse;
use crate::auth::Bearer;
use crate::domain::Position;
use crate::events::{EventType, Feed, LiveStream, Next};
use crate::http::failure::Failure;
use crate::http::query::{Parameters, invalid};
use crate::http::timed::{Streaming, Turns};
use crate::net::Draining;

pub(in crate::http) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx would keep what it is sent until it has enough of it.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");
const TYPE: &str = "type";

/// Streams changes of users as they happen, as server-sent events (WHATWG HTML): each is a `CloudEvents` 1.0 JSON, with the
/// type as its name. Begins with those committed from now on, or after the one that `Last-Event-ID` names. Ends when the token
/// expires and when the service shuts down; a client then comes back with the last id that it got, and misses nothing.
#[utoipa::path(get, path = "/api/v2/events", tag = "version 2", operation_id = "v2_stream_events",
    params(
        ("type" = Option<String>, Query, example = "user.created,user.deleted",
            description = "Only events of these types: `user.created`, `user.updated` and `user.deleted`, between commas."),
        ("Last-Event-ID" = Option<i64>, Header, minimum = 0, nullable = false,
            description = "The last `id` that the client got.")),
    responses(
        (status = OK, description = "The events.", content_type = "text/event-stream", body = String),
        ResumeFailures, Failures))]
pub(in crate::http) async fn stream_events(
    feed: web::Data<Feed>,
    draining: web::Data<Draining>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let types = types(request.query_string())?;
    let seen = last_event_id(request.headers())?;
    let mut response = HttpResponse::Ok();
    response.content_type(sse::CONTENT).insert_header(UNBUFFERED);
    if *request.method() == Method::HEAD {
        // Its body is not sent, but it would be waited for.
        return Ok(response.streaming(stream::empty::<Result<Bytes, Infallible>>()));
    }
    let time_left = request.extensions().get::<Bearer>().map(Bearer::time_left).unwrap_or_default();
    let reader = feed.read(seen, types).await?;
    let body = Body {
        stream: LiveStream::new(reader, Draining::clone(&draining), time_left),
        has_begun: false,
        _streaming: request.conn_data::<Turns>().map(Turns::stream),
    };
    let mut response = response.streaming(stream::unfold(body, Body::next));
    if request.version() < Version::HTTP_11 {
        // It knows no chunks (RFC 9112, 6.1): the end of the connection is the end of the stream.
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn types(query: &str) -> Result<Vec<EventType>, Failure> {
    let query = Parameters::parse(query, &[TYPE])?;
    let Some(text) = query.text(TYPE) else { return Ok(EventType::ALL.to_vec()) };
    let named = text.split(',').map(EventType::parse).collect::<Option<Vec<_>>>();
    let named = named.ok_or_else(|| {
        invalid(TYPE, "must be user.created, user.updated or user.deleted, or several, between commas")
    })?;
    // However often each of them was named.
    Ok(EventType::ALL.into_iter().filter(|known| named.contains(known)).collect())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Failure> {
    let mut given = headers.get_all(LAST_EVENT_ID);
    let position = match (given.next(), given.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(Position::parse),
        (Some(_), Some(_)) => None,
    };
    let invalid =
        Failure::InvalidHeader { name: "last-event-id", detail: "must be one id of an event, as it was sent" };
    position.map(Some).ok_or(invalid)
}

/// The body of an answer.
struct Body {
    stream: LiveStream,
    has_begun: bool,
    _streaming: Option<Streaming>,
}

impl Body {
    /// The next piece of the body. `None` at its end.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let piece = if self.has_begun { self.piece().await? } else { sse::beginning(self.stream.position()) };
        self.has_begun = true;
        Some((Ok(piece.into()), self))
    }

    async fn piece(&mut self) -> Option<String> {
        match self.stream.next().await {
            Next::Events(events) => Some(sse::blocks(&events)),
            Next::Nothing => Some(sse::heartbeat(self.stream.position())),
            // The client comes back, and is told then if nothing can be done.
            Next::End(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_ones() {
        assert_eq!(types("").unwrap(), EventType::ALL);
        assert_eq!(types("type=user.deleted").unwrap(), [EventType::Deleted]);
        assert_eq!(
            types("type=user.deleted,user.created,user.deleted").unwrap(),
            [EventType::Created, EventType::Deleted]
        );
        for query in
            ["type=", "type=user", "type=user.created,", "type=user.created&type=user.updated", "types=user.created"]
        {
            assert!(types(query).is_err(), "{query}");
        }
    }

    #[test]
    fn an_id_is_given_once_and_in_digits() {
        let id = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(LAST_EVENT_ID, actix_web::http::header::HeaderValue::from_static(value));
            }
            last_event_id(&headers)
        };
        assert_eq!(id(&[]).unwrap(), None);
        assert_eq!(id(&["0"]).unwrap(), Some(Position(0)));
        assert_eq!(id(&["17"]).unwrap(), Some(Position(17)));
        for values in [&[""][..], &["-1"], &["x"], &["1.0"], &["99999999999999999999"], &["1", "1"]] {
            assert!(id(values).is_err(), "{values:?}");
        }
    }
}

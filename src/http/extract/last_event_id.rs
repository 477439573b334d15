use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpRequest};

use crate::domain::Position;
use crate::http::problem::Failure;

pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Where the stream goes on after an export: a `Last-Event-ID`.
pub(crate) const RESUME_AFTER: HeaderName = HeaderName::from_static("resume-after");

/// The id of the last event that the client has received, from the header `Last-Event-ID`.
pub(crate) struct LastEventId(pub(crate) Option<Position>);

impl FromRequest for LastEventId {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.headers()).map(Self))
    }
}

fn parse(headers: &HeaderMap) -> Result<Option<Position>, Failure> {
    let mut values = headers.get_all(LAST_EVENT_ID);
    let position = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(Position::parse),
        (Some(_), Some(_)) => None,
    };
    let detail = "must be one id of an event, as it was sent";
    position.map(Some).ok_or(Failure::InvalidHeader { name: "last-event-id", detail })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn an_id_is_given_once_and_in_digits() {
        let id = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(LAST_EVENT_ID, HeaderValue::from_static(value));
            }
            parse(&headers)
        };
        assert_eq!(id(&[]).unwrap(), None);
        assert_eq!(id(&["0"]).unwrap(), Some(Position(0)));
        assert_eq!(id(&["17"]).unwrap(), Some(Position(17)));
        for values in [&[""][..], &["-1"], &["x"], &["1.0"], &["99999999999999999999"], &["1", "1"]] {
            assert!(id(values).is_err(), "{values:?}");
        }
    }
}

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _, stream};
use tonic::Status;

use super::caller::Admitted;
use super::convert::timestamp;
use super::failure::Failure;
use super::generated::users::{self as proto, UserEvent, WatchUsersRequest, WatchUsersResponse};
use crate::auth::{Denied, Refused};
use crate::domain::{self, Change, Position};
use crate::events::{End, EventType, Feed, LiveStream, Next, PublishedEvent};
use crate::net::Draining;
use crate::telemetry::Context;

/// The messages of the stream.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<WatchUsersResponse, Status>> + Send>>;

/// Streams changes of users until the token expires, the connection reaches its age, or the caller's deadline passes.
pub(super) async fn watch_users(
    feed: &Feed,
    draining: Draining,
    admitted: Admitted,
    request: WatchUsersRequest,
) -> Result<Messages, Failure> {
    let types = types(&request.types)?;
    let after = request.after.map(position).transpose()?;
    let reader = feed.read(after, types).await?;
    let (time_left, end) = end(admitted);
    let watch = Watch {
        stream: LiveStream::new(reader, draining, time_left),
        end: Some(end),
        context: Context::current(),
        has_begun: false,
    };
    Ok(stream::unfold(watch, Watch::next).flat_map(stream::iter).boxed())
}

fn types(asked: &[i32]) -> Result<Vec<EventType>, Failure> {
    if asked.is_empty() {
        return Ok(EventType::ALL.to_vec());
    }
    let known = |number: &i32| match proto::EventType::try_from(*number) {
        Ok(proto::EventType::UserCreated) => Some(EventType::Created),
        Ok(proto::EventType::UserUpdated) => Some(EventType::Updated),
        Ok(proto::EventType::UserDeleted) => Some(EventType::Deleted),
        Ok(proto::EventType::Unspecified) | Err(_) => None,
    };
    let asked = asked.iter().map(known).collect::<Option<Vec<_>>>();
    let asked = asked.ok_or(Failure::InvalidField { field: "types".into(), detail: "must be types of events" })?;
    // Removes duplicates.
    Ok(EventType::ALL.into_iter().filter(|known| asked.contains(known)).collect())
}

fn position(after: i64) -> Result<Position, Failure> {
    if after < 0 {
        return Err(Failure::InvalidField { field: "after".into(), detail: "must be a position, as it was sent" });
    }
    Ok(Position(after))
}

/// The maximum duration of the stream, and the failure it ends with then.
fn end(Admitted { bearer, connection_ends }: Admitted) -> (Duration, Failure) {
    let until = |moment: Instant| moment.saturating_duration_since(Instant::now());
    let token = (bearer.time_left(), Failure::Refused(Refused::Denied(Denied::Expired)));
    let connection = (until(connection_ends), Failure::StreamOver);
    let deadline = Context::current().and_then(|context| context.deadline);
    let deadline = deadline.map(|deadline| (until(deadline), Failure::DeadlineExceeded));
    let ends = [token, connection].into_iter().chain(deadline);
    ends.min_by_key(|(left, _)| *left).unwrap_or((Duration::ZERO, Failure::StreamOver))
}

struct Watch {
    stream: LiveStream,
    /// The failure that ends the stream when its time is up. `None` once the stream has ended.
    end: Option<Failure>,
    /// The context of the call, for the details of the final status.
    context: Option<Context>,
    has_begun: bool,
}

impl Watch {
    /// The next messages. `None` after the stream has ended.
    async fn next(mut self) -> Option<(Vec<Result<WatchUsersResponse, Status>>, Self)> {
        let end = self.end.take()?;
        let next = if self.has_begun { self.stream.next().await } else { Next::Nothing };
        self.has_begun = true;
        let failure = match next {
            Next::Events(events) => {
                self.end = Some(end);
                return Some((events.iter().map(|published| Ok(message(published))).collect(), self));
            }
            Next::Nothing => {
                self.end = Some(end);
                let position = self.stream.position().0;
                return Some((vec![Ok(WatchUsersResponse { position, event: None })], self));
            }
            Next::End(End::TimeIsUp) => end,
            Next::End(End::Draining) => Failure::StreamOver,
            Next::End(End::Failed(error)) => Failure::User(error),
        };
        let status = match self.context {
            Some(context) => context.run(|| Status::from(failure)),
            None => failure.into(),
        };
        Some((vec![Err(status)], self))
    }
}

/// The user of an event. Its status is not said if the event does not know it.
fn user_of(user: &domain::User, knows_profile: bool) -> proto::User {
    let user = proto::User::from(user.clone());
    if knows_profile { user } else { proto::User { status: proto::UserStatus::Unspecified.into(), ..user } }
}

fn message(published: &PublishedEvent) -> WatchUsersResponse {
    let event = &published.event;
    let r#type = match event.change {
        Change::Created(_) => proto::EventType::UserCreated,
        Change::Updated(_) => proto::EventType::UserUpdated,
        Change::Deleted => proto::EventType::UserDeleted,
    };
    let user = match &event.change {
        Change::Created(user) | Change::Updated(user) => Some(user_of(user, event.knows_profile)),
        Change::Deleted => None,
    };
    let event = UserEvent {
        id: event.id.to_string(),
        r#type: r#type.into(),
        time: Some(timestamp(event.occurred_at)),
        user_id: event.user_id.get(),
        version: event.version.0,
        user,
        traceparent: event.trace_parent.clone().unwrap_or_default(),
    };
    WatchUsersResponse { position: published.position().0, event: Some(event) }
}

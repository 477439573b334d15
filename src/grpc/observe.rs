//! What is around every call: gives it its id, its deadline and its place in the metrics, and lets in only whoever may call.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tonic::body::Body;
use tonic::codegen::http::header::{AUTHORIZATION, CONTENT_TYPE};
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tonic::{Code, Status};

use super::Settings;
use super::body::CallBody;
use super::call_deadline;
use super::ending::Ending;
use super::endpoint::{ENDPOINTS, Endpoint};
use super::failure::{Failure, is_failure, name};
use super::head;
use super::methods::Users;
use super::services::{Answer, Services};
use super::under_way::{CallUnderWay, UnderWay};
use crate::auth::{Bearer, Gate, Refused, Scope};
use crate::domain;
use crate::metrics::{MethodMetrics, Metrics};
use crate::telemetry::{AccessLogger, Answered, Arrived, Context, RequestId, RequestTrace, Traces};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Calls that may wait at once for an issuer's keys. Whoever invents the name of a key may have one wait, with its head, and
/// nobody reads what else it sends.
const WAITING_FOR_KEYS: usize = 128;

/// Answers calls. Clones share everything.
#[derive(Clone)]
pub struct Calls {
    shared: Arc<Shared>,
    /// Whether they come over connections of the reserve, where only what is open to everybody is answered.
    is_in_reserve: bool,
}

struct Shared {
    routes: Vec<Route>,
    unmatched: MethodMetrics,
    gate: Gate,
    waiting_for_keys: Semaphore,
    /// Permits for calls beyond those that each connection has room for.
    beyond: Arc<Semaphore>,
    traces: Traces,
    access_log: AccessLogger,
    /// For calls that have no deadline, or a later one.
    timeout: Duration,
    max_message_bytes: usize,
}

/// A method, and who answers it.
struct Route {
    endpoint: Endpoint,
    metrics: MethodMetrics,
    answer: Answer,
}

impl Calls {
    /// Registers the metrics of every method, at zero.
    ///
    /// # Errors
    /// When the services cannot be described to those who ask by reflection.
    pub fn new(settings: &Settings, users: Users, gate: Gate, metrics: &Metrics, traces: Traces) -> io::Result<Self> {
        let services = Services::new(users, settings.max_message_bytes, settings.head_timeout)?;
        let route = |endpoint: Endpoint| Route {
            metrics: if endpoint.streams {
                metrics.of_method(endpoint.method)
            } else {
                metrics.of_unary_method(endpoint.method)
            },
            answer: services.of(endpoint.service),
            endpoint,
        };
        let shared = Arc::new(Shared {
            routes: ENDPOINTS.into_iter().map(route).collect(),
            unmatched: metrics.of_unmatched_calls(),
            gate,
            waiting_for_keys: Semaphore::new(WAITING_FOR_KEYS),
            beyond: Arc::new(Semaphore::new(settings.max_calls)),
            traces,
            access_log: AccessLogger::new(settings.access_log, settings.slow_request),
            timeout: settings.call_timeout,
            max_message_bytes: settings.max_message_bytes,
        });
        Ok(Self { shared, is_in_reserve: false })
    }

    /// Answers what is open to everybody, and turns away all others.
    pub(super) fn for_everybody_only(self) -> Self {
        Self { is_in_reserve: true, ..self }
    }

    /// Those of a new connection.
    pub(super) fn of_connection(&self) -> Rc<UnderWay> {
        UnderWay::new(Arc::clone(&self.shared.beyond))
    }

    /// Who calls over a connection.
    pub(super) fn caller(&self, peer: Option<IpAddr>, connection_ends: Instant, call: CallUnderWay) -> Caller {
        Caller { peer, connection_ends, is_in_reserve: self.is_in_reserve, call }
    }

    /// The call, as far as it is to be kept until it is decided whether its caller is let in. Heads of many connections wait for
    /// that together, which were read one by one.
    pub(super) fn lighten(&self, request: Request<Incoming>) -> Request<Incoming> {
        let is_kept = head::is_light(&request) || self.shared.authenticate(request.headers()).is_ok();
        if is_kept { request } else { head::without_unread(request) }
    }

    /// Answers one call.
    pub(super) async fn answer(self, request: Request<Incoming>, mut caller: Caller) -> Response<CallBody> {
        let start = Instant::now();
        let shared = &*self.shared;
        let route = shared.route(request.uri().path());
        let (request_id, header) = request_id(request.headers());
        let trace = shared.trace(request.headers(), route);
        let streams = route.is_some_and(|route| route.endpoint.streams);
        let bounds = Bounds::of(request.headers(), streams, start, shared.timeout);
        let deadline = bounds.as_ref().ok().and_then(|bounds| bounds.deadline);
        let context = Context { deadline, ..trace.context(request_id) };
        let serve = trace.follow(shared.serve(route, request, &mut caller, bounds));
        let ending = self.ending(route, context, trace, start);
        let mut response = context.scope(serve).await;
        response.headers_mut().insert(X_REQUEST_ID, header);
        match response.extensions().get::<Status>() {
            Some(status) => ending.end(status),
            None if streams => return response.map(|body| CallBody::stream(body, ending).holding(caller.call)),
            None => ending.end(&Status::new(Code::Ok, "")),
        }
        response.map(|body| CallBody::whole(body).holding(caller.call))
    }

    /// Answers a call that comes when its connection ends.
    pub(super) fn turn_away() -> Response<CallBody> {
        Status::from(Failure::ConnectionOver).into_http().map(CallBody::whole)
    }

    /// Tells of a call when it has ended: the metrics, its trace, and the log if that is wanted.
    fn ending(&self, route: Option<&Route>, context: Context, trace: RequestTrace, start: Instant) -> Ending {
        let metrics = route.map_or(&self.shared.unmatched, |route| &route.metrics).clone();
        let streams = route.is_some_and(|route| route.endpoint.streams);
        // Whoever may call without a token may be as slow as it likes, and fill no log with that.
        let lasts = streams || route.is_some_and(|route| route.endpoint.scope.is_none());
        let (access_log, in_flight) = (self.shared.access_log.clone(), metrics.begin());
        Ending::new(move |status| {
            let (took, code, is_failure) = (start.elapsed(), name(status.code()), is_failure(status, streams));
            metrics.observe(code, took);
            trace.finish_call(code, is_failure);
            let (method, route, status) = ("gRPC", metrics.method(), code.into());
            let answered = Answered { method, route, status, is_failure, code: None, took, streams: lasts };
            context.run(|| access_log.note(&answered));
            drop(in_flight);
        })
    }
}

/// Who calls, and over what.
pub(super) struct Caller {
    /// If it is known.
    pub(super) peer: Option<IpAddr>,
    pub(super) connection_ends: Instant,
    /// Whether only what is open to everybody is answered over this connection.
    is_in_reserve: bool,
    pub(super) call: CallUnderWay,
}

/// How long a call may take.
struct Bounds {
    /// When it is given up that its message arrives; what is asked of the database has ended before.
    end: Instant,
    /// For what is asked of the database, and for a stream. A stream without one has no such end.
    deadline: Option<Instant>,
}

impl Bounds {
    /// A call that brings no bound of its own, or a later one, has this.
    fn of(headers: &HeaderMap, streams: bool, start: Instant, most: Duration) -> Result<Self, Failure> {
        let asked = call_deadline::timeout(headers)?;
        let bound = asked.unwrap_or(most).min(most);
        let lasts = if streams { asked } else { Some(bound) };
        let deadline = lasts.and_then(|lasts| start.checked_add(call_deadline::in_time_for(lasts)));
        Ok(Self { end: start + bound, deadline })
    }
}

/// Who was let in, for a stream: it lasts no longer than the token and the connection do.
#[derive(Clone, Copy)]
pub(super) struct Admitted {
    pub(super) bearer: Bearer,
    pub(super) connection_ends: Instant,
}

impl Shared {
    fn route(&self, path: &str) -> Option<&Route> {
        let method = path.strip_prefix('/')?;
        self.routes.iter().find(|route| route.endpoint.method == method)
    }

    fn trace(&self, headers: &HeaderMap, route: Option<&Route>) -> RequestTrace {
        let values = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        let arrived = Arrived::Grpc { method: route.map(|route| route.endpoint.method) };
        self.traces.begin(values("traceparent"), values("tracestate"), &arrived)
    }

    async fn serve(
        &self,
        route: Option<&Route>,
        request: Request<Incoming>,
        caller: &mut Caller,
        bounds: Result<Bounds, Failure>,
    ) -> Response<Body> {
        if !is_grpc(&request) {
            let mut response = Status::from(Failure::Unimplemented).into_http();
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        let call = async { self.call(route.ok_or(Failure::Unimplemented)?, request, caller, bounds).await };
        call.await.unwrap_or_else(|failure| Status::from(failure).into_http())
    }

    async fn call(
        &self,
        route: &Route,
        mut request: Request<Incoming>,
        caller: &mut Caller,
        bounds: Result<Bounds, Failure>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(scope) = route.endpoint.scope {
            if caller.is_in_reserve {
                return Err(domain::Error::Overloaded.into());
            }
            // Bounded by itself. Whoever has no token that does is told that, however little time there was.
            let bearer = self.admit(request.headers(), scope, caller.peer).await?;
            caller.call.admitted();
            if route.endpoint.streams {
                request.extensions_mut().insert(Admitted { bearer, connection_ends: caller.connection_ends });
            }
        } else {
            request = head::without_read(request);
        }
        caller.call.hold()?;
        let answer = timeout_at(bounds?.end.into(), (route.answer)(request)).await;
        let response = answer.map_err(|_| Failure::DeadlineExceeded)?.unwrap_or_else(|never| match never {});
        match response.extensions().get::<Status>() {
            // We say more. These come from tonic, about a message that it could not read: its caller's fault, also where tonic
            // takes that for an internal error.
            Some(status) if status.details().is_empty() => match status.code() {
                Code::OutOfRange => Err(Failure::MessageTooLarge { limit: self.max_message_bytes }),
                Code::NotFound | Code::Unimplemented => Ok(response),
                _ => Err(Failure::MalformedMessage),
            },
            _ => Ok(response),
        }
    }

    async fn admit(&self, headers: &HeaderMap, scope: Scope, peer: Option<IpAddr>) -> Result<Bearer, Failure> {
        let mut bearer = self.authenticate(headers);
        if let Some(refreshed) = self.gate.refresh(&bearer) {
            let _waits = self.waiting_for_keys.try_acquire().map_err(|_| Failure::TooManyCalls)?;
            refreshed.await;
            bearer = self.authenticate(headers);
        }
        Ok(self.gate.admit(bearer, scope, peer)?)
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<Bearer, Refused> {
        self.gate.authenticate(headers.get_all(AUTHORIZATION).into_iter().map(HeaderValue::as_bytes))
    }
}

/// The caller's id if it sent a sane one, else a new one.
fn request_id(headers: &HeaderMap) -> (RequestId, HeaderValue) {
    let given = headers.get(&X_REQUEST_ID);
    let sane = given.and_then(|value| Some((RequestId::parse(value.as_bytes())?, value.clone())));
    sane.unwrap_or_else(|| {
        let id = RequestId::random();
        // Hexadecimal digits are always a valid header.
        let header = HeaderValue::from_str(id.as_str()).unwrap_or_else(|_| HeaderValue::from_static("none"));
        (id, header)
    })
}

/// Whether it is a call at all (gRPC over HTTP/2, "Requests").
fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';'))) && *request.method() == Method::POST
}

//! AWS Lambda: serves the application of `http` to the Lambda Runtime API instead of to connections.
//!
//! One request at a time comes as a JSON event of API Gateway (v1, v2), a function URL or an Application Load Balancer,
//! and its response goes back as JSON. Nothing here knows a route, a token or an error of the API: this module passes
//! on requests, and what `http` makes of them.
//!
//! Between two requests the whole process is frozen, its threads included. So nothing runs in the background: no relay,
//! no pruning.
//!
//! The service does not use the crate `lambda_http`: see docs/decisions/0014-lambda-without-lambda-http.md.

mod event;
mod response;
mod runtime_api;

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory as _, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::rt::{spawn, task::spawn_blocking};
use tokio::time::timeout;

use event::Event;
use response::Response;
pub use runtime_api::RuntimeApi;
use runtime_api::{Failed, Invocation};

use crate::http::Application;
use crate::telemetry::Traces;

/// How long a response may wait until its spans have reached the collector.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the service stopped serving Lambda.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the application cannot be made")]
    Application,
    #[error("the Runtime API: {0}")]
    RuntimeApi(#[from] ureq::Error),
    #[error("a thread has ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Answers invocations until Lambda ends the process. Before each it awaits `wake`, with the time since the one before:
/// Lambda may have frozen the process meanwhile.
///
/// # Errors
/// When the application cannot be built, and when the Runtime API fails.
pub async fn run<I, S>(
    runtime_api: RuntimeApi,
    application: I,
    traces: Traces,
    wake: impl AsyncFn(Duration),
) -> Result<(), Error>
where
    I: IntoServiceFactory<S, Request>,
    S: Application,
    S::Service: 'static,
{
    let factory = map_config(application.into_factory(), |()| AppConfig::default());
    let service = Rc::new(factory.new_service(()).await.map_err(|()| Error::Application)?);
    let mut pause = Pause::begin();
    loop {
        let api = runtime_api.clone();
        let Invocation { id, event } = spawn_blocking(move || api.next()).await??;
        wake(pause.elapsed()).await;
        // In a task, so that a panic fails only this invocation.
        let response = spawn(respond(Rc::clone(&service), event)).await.unwrap_or(Err(Failed::Internal));
        // Lambda may freeze the process from here on.
        pause = Pause::begin();
        let (api, traces) = (runtime_api.clone(), traces.clone());
        // After the response there is no time to send spans. Those that are late go out during the next request.
        let _ = timeout(FLUSH_TIMEOUT, spawn_blocking(move || traces.flush())).await;
        spawn_blocking(move || api.complete(&id, &response)).await??;
    }
}

async fn respond<S>(service: Rc<S>, event: Vec<u8>) -> Result<Response, Failed>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
{
    let event = Event::parse(&event).ok_or(Failed::NoRequest)?;
    let shape = event.shape();
    let Some(request) = event.request() else { return Ok(Response::bad_request(shape)) };
    let response = service.call(request).await.map_err(|error| internal(&error))?;
    Response::collect(shape, response).await.map_err(|error| internal(&error))
}

fn internal(error: &impl std::fmt::Display) -> Failed {
    log::error!("no answer for Lambda: {error}");
    Failed::Internal
}

/// Measures the time between two invocations, in which the process may be frozen.
struct Pause {
    began: Instant,
    began_on_the_wall: SystemTime,
}

impl Pause {
    fn begin() -> Self {
        Self { began: Instant::now(), began_on_the_wall: SystemTime::now() }
    }

    /// The longer of two measurements: the monotonic clock may stop while the process is frozen.
    fn elapsed(&self) -> Duration {
        self.began.elapsed().max(self.began_on_the_wall.elapsed().unwrap_or_default())
    }
}

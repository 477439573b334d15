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

mod answer;
mod event;
mod runtime_api;

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory as _, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::rt::{spawn, task::spawn_blocking};
use tokio::time::timeout;

use answer::Answer;
use event::Event;
pub use runtime_api::RuntimeApi;
use runtime_api::{Failed, Invocation};

use crate::http::Application;
use crate::telemetry::Traces;

/// How long an answer may wait for its spans to reach their collector.
const SPANS_FOR: Duration = Duration::from_secs(1);

/// Why Lambda is served no longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the application cannot be made")]
    Application,
    #[error("the Runtime API: {0}")]
    RuntimeApi(#[from] ureq::Error),
    #[error("a thread has ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Answers what Lambda asks, until the process is ended. Before it answers it has `wake` done, which is told for how
/// long nothing was asked: the process may have been frozen all that time.
///
/// # Errors
/// When the application cannot be made, and when the Runtime API cannot be reached.
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
        let asked = runtime_api.clone();
        let Invocation { id, event } = spawn_blocking(move || asked.next()).await??;
        wake(pause.length()).await;
        // As a task of its own: what panics in it has failed, and nothing else.
        let answer = spawn(answer(Rc::clone(&service), event)).await.unwrap_or(Err(Failed::Internal));
        // From here on it may be frozen.
        pause = Pause::begin();
        let (told, traces) = (runtime_api.clone(), traces.clone());
        // Once it is answered there is no time left to send them in. What takes longer is tried beside the next
        // request.
        let _ = timeout(SPANS_FOR, spawn_blocking(move || traces.flush())).await;
        spawn_blocking(move || told.tell(&id, &answer)).await??;
    }
}

async fn answer<S>(service: Rc<S>, event: Vec<u8>) -> Result<Answer, Failed>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
{
    let event = Event::read(&event).ok_or(Failed::NoRequest)?;
    let shape = event.shape();
    let Some(request) = event.request() else { return Ok(Answer::bad_request(shape)) };
    let response = service.call(request).await.map_err(|error| internal(&error))?;
    Answer::write(shape, response).await.map_err(|error| internal(&error))
}

fn internal(error: &impl std::fmt::Display) -> Failed {
    log::error!("no answer for Lambda: {error}");
    Failed::Internal
}

/// How long nothing happens, whether the process is frozen or not.
struct Pause {
    began: Instant,
    began_by_the_clock: SystemTime,
}

impl Pause {
    fn begin() -> Self {
        Self { began: Instant::now(), began_by_the_clock: SystemTime::now() }
    }

    /// By what counts more: a timer may stand still while the process is frozen.
    fn length(&self) -> Duration {
        self.began.elapsed().max(self.began_by_the_clock.elapsed().unwrap_or_default())
    }
}

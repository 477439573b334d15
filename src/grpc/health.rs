use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::sleep;
use tonic::{Request, Response, Status};

use super::generated::health::health_check_response::ServingStatus;
use super::generated::health::health_server;
use super::generated::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use super::generated::users::user_service_server::SERVICE_NAME;
use crate::net::Draining;
use crate::storage::{Readiness, Storage};

/// How often the readiness is polled for watchers. Reading it does not involve the database.
const INTERVAL: Duration = Duration::from_millis(250);
/// The services with a status: the server as a whole, and the user service.
const SERVICES: [&str; 2] = ["", SERVICE_NAME];

/// Reports whether calls can be served, as `/ready` does (gRPC Health Checking Protocol). Not the `tonic-health` crate:
/// it lacks `List`, and deviates from the protocol for unknown services.
#[derive(Clone)]
pub(super) struct Health {
    pub(super) storage: Storage,
    pub(super) draining: Draining,
}

type Statuses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

impl Health {
    fn status(&self) -> ServingStatus {
        let is_ready = !self.draining.is_draining() && self.storage.readiness() == Readiness::Ready;
        if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing }
    }

    /// Waits for a status other than `from`. `None` if it can no longer change.
    async fn changed(self, from: ServingStatus) -> Option<ServingStatus> {
        while self.status() == from {
            if self.draining.is_draining() {
                return None;
            }
            tokio::select! {
                () = sleep(INTERVAL) => {}
                () = self.draining.has_begun() => {}
            }
        }
        Some(self.status())
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(response(self.status())))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let statuses = SERVICES.map(|service| (service.to_owned(), response(self.status())));
        Ok(Response::new(HealthListResponse { statuses: HashMap::from(statuses) }))
    }

    type WatchStream = Statuses;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Statuses>, Status> {
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            // The protocol requires the stream to stay open, because the service could be added later.
            let draining = self.draining.clone();
            let end = stream::once(async move { draining.has_begun().await }).filter_map(async |()| None);
            let unknown = stream::iter([Ok(response(ServingStatus::ServiceUnknown))]);
            return Ok(Response::new(unknown.chain(end).boxed()));
        }
        let health = self.clone();
        let statuses = stream::unfold(None, move |last| {
            let health = health.clone();
            async move {
                let status = match last {
                    None => health.status(),
                    Some(last) => health.changed(last).await?,
                };
                Some((Ok(response(status)), Some(status)))
            }
        });
        Ok(Response::new(statuses.boxed()))
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

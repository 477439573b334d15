//! One connection, which sends one request after the other.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::releases::{Releases, Taken};
use super::{Plan, observe};
use crate::record::{Latencies, Observed, Recorder};
use crate::scenario::{Call, Kind, Scenario, Script};
use crate::wire::{GrpcConnection, HttpConnection};

/// What the connections of a thread share.
pub(super) struct Shared<'a> {
    pub plan: &'a Plan,
    pub script: RefCell<Script>,
    pub recorder: RefCell<Recorder>,
    /// How late requests were taken by connections that were free: the generator's own delay, which no service causes.
    pub late: RefCell<Latencies>,
    /// How long requests that were due waited for a free connection.
    pub waited: RefCell<Latencies>,
    pub zero: Instant,
}

pub(super) struct Worker {
    http: HttpConnection,
    grpc: Option<GrpcConnection>,
    page: Option<String>,
}

impl Worker {
    /// With a connection, if the service accepts one now; otherwise the first request tries again.
    pub(super) async fn connect(plan: &Plan) -> Result<Self, String> {
        let mut http = HttpConnection::new(plan.target.clone());
        let grpc = if let (Scenario::GrpcRead, Ok(authorization)) = (plan.scenario, plan.authorization.to_str()) {
            Some(GrpcConnection::new(&plan.grpc_url, authorization)?)
        } else {
            let _ = http.open().await;
            None
        };
        Ok(Self { http, grpc, page: None })
    }

    /// Sends each request when it is due, or as soon after that as this connection is free.
    pub(super) async fn run_open(mut self, shared: &Shared<'_>, releases: &Releases) {
        while let Some(Taken { due, was_free }) = releases.take().await {
            if due >= shared.zero {
                // A connection that was free took it late because the thread was late.
                let (late, waited) =
                    if was_free { (due.elapsed(), Duration::ZERO) } else { (Duration::ZERO, due.elapsed()) };
                shared.late.borrow_mut().record(late);
                shared.waited.borrow_mut().record(waited);
            }
            let observed = self.send(shared, due).await;
            shared.recorder.borrow_mut().record(observed);
            if shared.plan.is_stopped() {
                releases.close();
            }
        }
    }

    /// Sends the next request when it has the answer to the one before.
    pub(super) async fn run_closed(mut self, shared: &Shared<'_>) {
        let end = shared.zero + shared.plan.duration;
        loop {
            let sent = Instant::now();
            let is_over = sent >= end || shared.plan.is_stopped();
            if is_over || (sent >= shared.zero && !shared.plan.takes_one_more()) {
                break;
            }
            let observed = self.send(shared, sent).await;
            let is_failed = observed.failure.is_some();
            shared.recorder.borrow_mut().record(observed);
            if is_failed {
                // A service that is away answers at once, and many times more often than one that works.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    async fn send(&mut self, shared: &Shared<'_>, due: Instant) -> Observed {
        let call = shared.script.borrow_mut().next(due, self.page.as_deref());
        match call {
            Call::Http { kind, request } => match timeout(shared.plan.timeout, self.http.call(request)).await {
                Ok(Ok(mut answer)) => {
                    if kind == Kind::Page {
                        self.page = answer.next_page.take();
                    }
                    observe::answered(kind, due, answer)
                }
                Ok(Err(error)) => observe::failed(kind, due, "no answer", error),
                Err(_) => {
                    self.http.abandon();
                    observe::failed(kind, due, "timeout", format!("no answer within {:?}", shared.plan.timeout))
                }
            },
            Call::Grpc { id } => match &mut self.grpc {
                Some(grpc) => {
                    if let Ok(answer) = timeout(shared.plan.timeout, grpc.get_user(id)).await {
                        observe::answered_over_grpc(due, answer)
                    } else {
                        let example = format!("no answer within {:?}", shared.plan.timeout);
                        observe::failed(Kind::GrpcRead, due, "timeout", example)
                    }
                }
                None => observe::failed(Kind::GrpcRead, due, "no answer", "no connection".to_owned()),
            },
        }
    }
}

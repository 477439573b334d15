//! Sends spans to the collector over HTTP.

use std::future::ready;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use url::Url;

use crate::proxy::proxy_for;

/// The largest response that is read, in bytes. It is empty or an error message.
const MAX_ANSWER: u64 = 64 << 10;

/// Sends batches of spans. It blocks, because the batch processor calls it on a dedicated thread.
#[derive(Debug)]
pub(super) struct Collector {
    agent: Agent,
    /// The endpoint, without the credentials that the URL may contain.
    address: String,
    is_up: AtomicBool,
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl Collector {
    pub(super) fn new(endpoint: &Url, timeout: Duration) -> Self {
        let address = format!("{}{}", endpoint.origin().ascii_serialization(), endpoint.path());
        Self { agent: agent(endpoint, timeout), address, is_up: AtomicBool::new(true) }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let (head, body) = self.agent.run(Request::from_parts(head, body.as_ref()))?.into_parts();
        let body = body.into_with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }

    /// Logs one line when sending begins to fail, and one when it recovers.
    fn log_changes(&self, result: &Result<Response<Bytes>, ureq::Error>) {
        let failure = match result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let succeeded = self.is_up.swap(failure.is_none(), Ordering::Relaxed);
        match failure {
            Some(failure) if succeeded => log::warn!("cannot send traces to {}: {failure}", self.address),
            None if !succeeded => log::info!("traces can be sent to {} again", self.address),
            _ => {}
        }
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'f>(&'a self, request: Request<Bytes>) -> Sent<'f>
    where
        'a: 'f,
        Self: 'f,
    {
        let result = self.send(request);
        self.log_changes(&result);
        Box::pin(ready(result.map_err(Into::into)))
    }
}

fn agent(endpoint: &Url, timeout: Duration) -> Agent {
    let tls = TlsConfig::builder()
        // The system's certificates, or those in SSL_CERT_FILE.
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        // The exporter inspects the status and retries some.
        .http_status_as_error(false)
        // The headers may contain a secret that no other server must see.
        .max_redirects(0)
        .https_only(endpoint.scheme() == "https")
        .proxy(proxy_for(endpoint))
        .tls_config(tls);
    config.build().into()
}

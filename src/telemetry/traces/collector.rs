//! The way to the collector.

use std::future::ready;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use url::Url;

use crate::proxy::proxy_for;

/// The largest answer that is read, in bytes. It is empty, or says what was wrong.
const MAX_ANSWER: u64 = 64 << 10;

/// Sends batches of spans. Blocks, which is as it should be: the batch processor has a thread of its own.
#[derive(Debug)]
pub(super) struct Collector {
    agent: Agent,
    /// Without a password that it may hold.
    place: String,
    is_well: AtomicBool,
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl Collector {
    pub(super) fn new(endpoint: &Url, timeout: Duration) -> Self {
        let place = format!("{}{}", endpoint.origin().ascii_serialization(), endpoint.path());
        Self { agent: agent(endpoint, timeout), place, is_well: AtomicBool::new(true) }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let (head, body) = self.agent.run(Request::from_parts(head, body.as_ref()))?.into_parts();
        let body = body.into_with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }

    /// One line when it begins to fail, and one when it is over.
    fn tell(&self, result: &Result<Response<Bytes>, ureq::Error>) {
        let failure = match result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let was_well = self.is_well.swap(failure.is_none(), Ordering::Relaxed);
        match failure {
            Some(failure) if was_well => log::warn!("cannot send traces to {}: {failure}", self.place),
            None if !was_well => log::info!("traces can be sent to {} again", self.place),
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
        self.tell(&result);
        Box::pin(ready(result.map_err(Into::into)))
    }
}

fn agent(endpoint: &Url, timeout: Duration) -> Agent {
    let tls = TlsConfig::builder()
        // The system's, or what SSL_CERT_FILE names.
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        // The exporter looks at the status: some it tries again.
        .http_status_as_error(false)
        // The headers may hold a secret, which is for this collector only.
        .max_redirects(0)
        .https_only(endpoint.scheme() == "https")
        .proxy(proxy_for(endpoint))
        .tls_config(tls);
    config.build().into()
}

//! A look at `/metrics`: the numbers that a report shows.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::HOST;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use url::Url;

use super::exposition::{Line, lines};
use crate::wire::{HttpConnection, Target};

/// A frozen service must not keep the next look waiting.
const LONGEST: Duration = Duration::from_millis(800);

pub(crate) struct Scraper {
    connection: HttpConnection,
    target: Target,
    path: String,
}

/// Which build it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub version: String,
    pub commit: String,
    pub database: String,
}

/// Sums over labels that a report does not tell apart, by the names that [`name`] gives.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Scrape(pub BTreeMap<String, f64>);

impl Scraper {
    pub(crate) async fn new(url: &Url) -> Result<Self, String> {
        let target = Target::resolve(url).await?;
        let path = if target.base.is_empty() { "/metrics".to_owned() } else { target.base.clone() };
        Ok(Self { connection: HttpConnection::new(target.clone()), target, path })
    }

    /// `None` if it does not answer in time, or not with metrics.
    pub(crate) async fn look(&mut self) -> Option<Scrape> {
        let text = self.text().await?;
        let mut scrape = Scrape::default();
        for line in lines(&text) {
            if let Some(name) = name(&line) {
                *scrape.0.entry(name).or_default() += line.value;
            }
        }
        (!scrape.0.is_empty()).then_some(scrape)
    }

    pub(crate) async fn identity(&mut self) -> Option<Identity> {
        let text = self.text().await?;
        let line = lines(&text).find(|line| line.name == "user_service_build_info")?;
        let label = |name: &str| Some(line.label(name)?.to_owned());
        Some(Identity { version: label("version")?, commit: label("commit")?, database: label("database")? })
    }

    async fn text(&mut self) -> Option<String> {
        let mut request = Request::new(Full::from(Bytes::new()));
        *request.uri_mut() = self.path.parse().ok()?;
        request.headers_mut().insert(HOST, self.target.host.clone());
        if let Ok(answer) = timeout(LONGEST, self.connection.fetch(request)).await {
            String::from_utf8(answer.ok().filter(|answer| answer.status.is_success())?.body).ok()
        } else {
            self.connection.abandon();
            None
        }
    }
}

impl Scrape {
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

/// Under which name a sample is added up, if a report shows it.
fn name(line: &Line<'_>) -> Option<String> {
    let lane = || line.label("lane").unwrap_or("all");
    let name = match line.name {
        "http_requests_total" | "grpc_requests_total" => "requests".to_owned(),
        "http_requests_in_flight" | "grpc_requests_in_flight" => "in_flight".to_owned(),
        "http_request_duration_seconds_bucket" | "grpc_request_duration_seconds_bucket" => {
            format!("duration_le_{}", line.label("le")?)
        }
        "db_batch_size_messages_sum" => format!("batched_{}", lane()),
        "db_batch_size_messages_count" => format!("batches_{}", lane()),
        "db_messages_waiting" => format!("waiting_{}", lane()),
        "db_messages_refused_total" => "refused".to_owned(),
        "db_wait_duration_seconds_sum" => format!("wait_seconds_{}", lane()),
        "db_wait_duration_seconds_count" => format!("waits_{}", lane()),
        "db_transaction_duration_seconds_sum" => format!("database_seconds_{}", lane()),
        "db_transaction_duration_seconds_count" => format!("transactions_{}", lane()),
        "user_cache_hits_total" => "cache_hits".to_owned(),
        "user_cache_misses_total" => "cache_misses".to_owned(),
        "process_resident_memory_bytes" => "memory".to_owned(),
        "process_cpu_seconds_total" => "cpu_seconds".to_owned(),
        "event_stream_readers" => "stream_readers".to_owned(),
        "event_stream_events_total" => "stream_events".to_owned(),
        _ => return None,
    };
    Some(name)
}

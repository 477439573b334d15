//! Opens connections for the pool. Each attempt to reach PostgreSQL has its own thread: libpq bounds only a part of
//! connecting, and r2d2 has only three threads to wait in.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use diesel::{ConnectionError, ConnectionResult};

use crate::metrics::HungCalls;
use crate::storage::database::connection::Connection;
use crate::storage::database::settings::Settings;
use crate::storage::database::settings::database_url::DatabaseUrl;
use crate::storage::database::workers::abandoned_calls::AbandonedCalls;

/// How long libpq may take to find a host that responds. libpq bounds each address by itself, and the URI may set that
/// bound.
const FIND_HOST: Duration = Duration::from_secs(10);

/// How many attempts may hang. A pooler without a server accepts one connection after the other. Most poolers time
/// these out within two minutes, and r2d2 tries three at a time.
const MAX_HUNG: usize = 16;

/// Opens connections to one database.
pub(super) struct Connector {
    url: DatabaseUrl,
    deadline: Duration,
    limit: Duration,
    abandoned: Arc<AbandonedCalls>,
}

impl Connector {
    /// `call_limit` is how long a call to the database may take.
    pub(super) fn new(settings: &Settings, call_limit: Duration, calls: HungCalls) -> Self {
        let abandoned = Arc::new(AbandonedCalls::new(calls, MAX_HUNG));
        Self { url: settings.url.clone(), deadline: settings.deadline, limit: FIND_HOST + call_limit, abandoned }
    }

    /// How long an attempt may take.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn connect(&self) -> ConnectionResult<Connection> {
        if matches!(self.url, DatabaseUrl::Sqlite(_)) {
            return Connection::open(&self.url, self.deadline);
        }
        if self.abandoned.limit_reached() {
            return Err(error("too many attempts to connect hang"));
        }
        // Without a buffer: a connection is either handed over, or known to be unwanted.
        let (sender, receiver) = bounded(0);
        let (url, deadline, abandoned) = (self.url.clone(), self.deadline, Arc::clone(&self.abandoned));
        let work = move || open(&url, deadline, &sender, &abandoned);
        thread::Builder::new().name("connect".to_owned()).spawn(work).map_err(|cause| error(&cause.to_string()))?;
        receiver.recv_timeout(self.limit).unwrap_or_else(|cause| {
            if cause == RecvTimeoutError::Timeout {
                self.abandoned.add();
            }
            Err(error("the server does not go on"))
        })
    }
}

fn open(
    url: &DatabaseUrl,
    deadline: Duration,
    sender: &Sender<ConnectionResult<Connection>>,
    abandoned: &AbandonedCalls,
) {
    if sender.send(Connection::open(url, deadline)).is_err() {
        abandoned.remove();
    }
}

fn error(text: &str) -> ConnectionError {
    ConnectionError::BadConnection(text.to_owned())
}

//! Opens connections, each on a thread of its own: libpq bounds only a part of that, and r2d2 has few threads to wait in.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use diesel::{ConnectionError, ConnectionResult};

use super::connection::Connection;
use super::database_url::DatabaseUrl;
use super::hung::Hung;
use super::settings::Settings;
use crate::metrics::HungCalls;

/// How long libpq may take to find a host that answers. It has a bound for each address, which the URI may set.
const FIND: Duration = Duration::from_secs(10);

/// How many may hang. A pooler without a server lets in one after the other; most have a time-out for that of two minutes or
/// less, and r2d2 tries three at a time.
const MAX_HUNG: usize = 16;

/// Opens connections to one database.
pub(super) struct Connector {
    url: DatabaseUrl,
    deadline: Duration,
    limit: Duration,
    hung: Arc<Hung>,
}

impl Connector {
    /// `call_limit` is how long a call to the database may take.
    pub(super) fn new(settings: &Settings, call_limit: Duration, calls: HungCalls) -> Self {
        let hung = Arc::new(Hung::new(calls, MAX_HUNG));
        Self { url: settings.url.clone(), deadline: settings.deadline, limit: FIND + call_limit, hung }
    }

    /// How long an attempt may take.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn connect(&self) -> ConnectionResult<Connection> {
        if matches!(self.url, DatabaseUrl::Sqlite(_)) {
            return Connection::open(&self.url, self.deadline);
        }
        if self.hung.are_too_many() {
            return Err(trouble("too many attempts to connect hang"));
        }
        // Without room: a connection is handed over, or known not to be wanted any more.
        let (give, take) = bounded(0);
        let (url, deadline, hung) = (self.url.clone(), self.deadline, Arc::clone(&self.hung));
        let work = move || open(&url, deadline, &give, &hung);
        thread::Builder::new().name("connect".to_owned()).spawn(work).map_err(|error| trouble(&error.to_string()))?;
        take.recv_timeout(self.limit).unwrap_or_else(|error| {
            if error == RecvTimeoutError::Timeout {
                self.hung.begin();
            }
            Err(trouble("the server does not go on"))
        })
    }
}

fn open(url: &DatabaseUrl, deadline: Duration, give: &Sender<ConnectionResult<Connection>>, hung: &Hung) {
    if give.send(Connection::open(url, deadline)).is_err() {
        hung.end();
    }
}

fn trouble(text: &str) -> ConnectionError {
    ConnectionError::BadConnection(text.to_owned())
}

//! How a client comes to be.

use std::time::Duration;

use crate::budget::Budget;
use crate::call::Options;
use crate::client::{Client, Transport};
use crate::error::Error;
use crate::grpc::Grpc;
use crate::rest::Rest;
use crate::retry::Caller;
use crate::token::Token;

/// Builds a [`Client`]; [`Client::rest`] and [`Client::grpc`] make one.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    protocol: Protocol,
    base_url: String,
    token: Option<Token>,
    timeout: Duration,
    attempt_timeout: Duration,
    connect_timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Rest,
    Grpc,
}

impl Builder {
    pub(crate) const fn new(protocol: Protocol, base_url: String) -> Self {
        Self {
            protocol,
            base_url,
            token: None,
            timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(2),
        }
    }

    /// Where to get the bearer token from. The service answers nobody without one.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// How long a call may take with all of its attempts: 10 s by default. See also [`Client::with_timeout`].
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// After how long a read is tried again, if its time allows: 3 s by default. A change is not: it has all of the call's
    /// time.
    pub const fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.attempt_timeout = attempt_timeout;
        self
    }

    /// How long it may take to connect: 2 s by default.
    pub const fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// Builds the client, within a Tokio runtime. It connects when it is needed.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the address is none, or the platform's certificates cannot be read.
    pub fn build(self) -> Result<Client, Error> {
        let transport = match self.protocol {
            Protocol::Rest => Rest::new(&self.base_url, self.connect_timeout).map(Transport::Rest),
            Protocol::Grpc => Grpc::new(&self.base_url, self.connect_timeout).map(Transport::Grpc),
        };
        let transport = transport.map_err(Error::Configuration)?;
        let caller = Caller { token: self.token, attempt_timeout: self.attempt_timeout, budget: Budget::new() };
        let options = Options { timeout: self.timeout, request_id: None, traceparent: None };
        Ok(Client::new(transport, caller, options))
    }
}

/// What the service's log may show of this client.
pub(crate) const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

//! Builds clients.

use std::time::Duration;

use crate::budget::Budget;
use crate::call::Options;
use crate::client::Client;
use crate::error::Error;
use crate::grpc::Grpc;
use crate::rest::Rest;
use crate::retry::Caller;
use crate::token::Token;
use crate::transport::Transport;

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
enum Protocol {
    Rest,
    Grpc,
}

impl Client {
    /// Builds a client that speaks REST, version 2, to the service at this address, such as
    /// `https://users.example.com`.
    pub fn rest(base_url: impl Into<String>) -> Builder {
        Builder::new(Protocol::Rest, base_url.into())
    }

    /// Builds a client that speaks gRPC to the service at this address, such as `https://users.example.com:50051`.
    pub fn grpc(base_url: impl Into<String>) -> Builder {
        Builder::new(Protocol::Grpc, base_url.into())
    }
}

impl Builder {
    const fn new(protocol: Protocol, base_url: String) -> Self {
        Self {
            protocol,
            base_url,
            token: None,
            timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(2),
        }
    }

    /// Sets the source of bearer tokens. The service rejects requests without one.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets the timeout of a call, all of its attempts included: 10 s by default. See also [`Client::with_timeout`].
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the timeout of one attempt: 3 s by default. The client then retries if the call's timeout allows.
    pub const fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.attempt_timeout = attempt_timeout;
        self
    }

    /// Sets the timeout for establishing a connection: 2 s by default.
    pub const fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// Builds the client. Must be called within a Tokio runtime. The client connects when it makes its first call.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the address is invalid or the platform's certificates cannot be read.
    pub fn build(self) -> Result<Client, Error> {
        let transport = match self.protocol {
            Protocol::Rest => Rest::new(&self.base_url, self.connect_timeout).map(Transport::Rest),
            Protocol::Grpc => Grpc::new(&self.base_url, self.connect_timeout).map(Transport::Grpc),
        };
        let transport = transport.map_err(Error::Configuration)?;
        let caller = Caller { token: self.token, attempt_timeout: self.attempt_timeout, budget: Budget::new() };
        let options = Options { timeout: self.timeout, request_id: None, traceparent: None, idempotency_key: None };
        Ok(Client::new(transport, caller, options))
    }
}

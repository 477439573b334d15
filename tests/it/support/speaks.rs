use user_service_client::{Builder, Client, Token};

use super::server::Server;
use super::token::TOKEN;

/// What a client speaks.
#[derive(Clone, Copy, Debug)]
pub enum Speaks {
    Rest,
    Grpc,
}

impl Speaks {
    /// The server's host and port for it.
    pub fn address(self, server: &Server) -> &str {
        match self {
            Self::Rest => server.address(),
            Self::Grpc => server.grpc_address(),
        }
    }

    /// A client for an address: the server's, or that of something in between.
    pub fn to(self, address: &str) -> Builder {
        let url = format!("http://{address}");
        match self {
            Self::Rest => Client::rest(url),
            Self::Grpc => Client::grpc(url),
        }
        .token(Token::fixed(TOKEN.clone()))
    }

    /// A client that may do everything.
    pub fn client(self, server: &Server) -> Client {
        self.to(self.address(server)).build().expect("a client")
    }
}

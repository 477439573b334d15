use user_service_client::{Builder, Client, Token};

use super::server::Server;
use super::token::TOKEN;

/// The protocol of a client.
#[derive(Clone, Copy, Debug)]
pub enum Speaks {
    Rest,
    Grpc,
}

impl Speaks {
    /// The server's host and port for this protocol.
    pub fn address(self, server: &Server) -> &str {
        match self {
            Self::Rest => server.address(),
            Self::Grpc => server.grpc_address(),
        }
    }

    /// A client of an address: the server's, or a proxy's.
    pub fn to(self, address: &str) -> Builder {
        let url = format!("http://{address}");
        match self {
            Self::Rest => Client::rest(url),
            Self::Grpc => Client::grpc(url),
        }
        .token(Token::fixed(TOKEN.clone()))
    }

    /// A client with all scopes.
    pub fn client(self, server: &Server) -> Client {
        self.to(self.address(server)).build().expect("a client")
    }
}

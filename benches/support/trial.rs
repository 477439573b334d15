use std::net::SocketAddr;

use super::client::Clients;
use super::database::{Database, Db};
use super::work::Work;

/// A server that runs until it is dropped.
pub(crate) trait Server {
    fn address(&self) -> SocketAddr;
}

/// Clients of a server on its own database.
pub(super) struct Trial {
    pub(super) clients: Clients,
    // Fields are dropped in order: the server before its database.
    _server: Box<dyn Server>,
    _database: Database,
}

impl Trial {
    pub(super) fn start(db: Db, clients: usize, work: &Work, serve: impl Fn(&Database) -> Box<dyn Server>) -> Self {
        let database = Database::new(db, work.users);
        let server = serve(&database);
        let address = server.address();
        let scripts = (work.scripts)(address, clients);
        Self { clients: Clients::connect(address, scripts), _server: server, _database: database }
    }
}

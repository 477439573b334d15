use std::ops::{Deref, DerefMut};

use super::{Database, Db, Server};

/// A ready server on a fresh database.
pub struct App {
    // Fields are dropped in order, so the server ends before its database.
    server: Server,
    pub database: Database,
}

impl App {
    pub async fn start(db: Db) -> Self {
        Self::start_with(db, &[]).await
    }

    pub async fn start_with(db: Db, vars: &[(&str, &str)]) -> Self {
        Self::on(db.fresh(), vars).await
    }

    pub async fn on(database: Database, vars: &[(&str, &str)]) -> Self {
        let server = Server::listening(database.program().envs(vars));
        server.ready().await;
        Self { server, database }
    }

    /// Ends the server.
    pub fn stop(self) -> Database {
        let Self { server, database } = self;
        drop(server);
        database
    }

    /// Replaces the server by another process on the same database, with the default configuration.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    pub async fn restart_with(&mut self, vars: &[(&str, &str)]) {
        self.server.kill();
        self.server = Server::listening(self.database.program().envs(vars));
        self.server.ready().await;
    }
}

impl Deref for App {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for App {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

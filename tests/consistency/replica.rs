use std::sync::Mutex;

use tokio::task::spawn_blocking;

use crate::support::{Program, Server};

/// One process of the service, which faults end and start again.
pub struct Replica {
    program: Box<dyn Fn() -> Program + Send + Sync>,
    server: Mutex<Option<Server>>,
    addresses: Mutex<Addresses>,
    /// What its processes have logged before they were killed.
    log: Mutex<Vec<String>>,
}

/// Where a replica listens; another process listens elsewhere.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub rest: String,
    pub grpc: String,
}

impl Replica {
    pub async fn start(program: impl Fn() -> Program + Send + Sync + 'static) -> Self {
        let server = listening(program()).await;
        server.ready().await;
        let addresses = Mutex::new(addresses(&server));
        Self { program: Box::new(program), server: Mutex::new(Some(server)), addresses, log: Mutex::default() }
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses.lock().unwrap().clone()
    }

    /// Ends the process at once; clients then find nobody at its address.
    pub fn kill(&self) {
        if let Some(mut server) = self.server.lock().unwrap().take() {
            server.kill();
            self.log.lock().unwrap().push(server.log());
        }
    }

    /// Starts another process, which need not be ready yet.
    pub async fn restart(&self) {
        let server = listening((self.program)()).await;
        *self.addresses.lock().unwrap() = addresses(&server);
        *self.server.lock().unwrap() = Some(server);
    }

    /// Its sockets stay open and nothing answers on them.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    pub fn log(&self) -> String {
        let mut log = self.log.lock().unwrap().clone();
        log.extend(self.server.lock().unwrap().as_ref().map(Server::log));
        log.join("\n=== another process ===\n")
    }

    fn signal(&self, name: &str) {
        if let Some(server) = self.server.lock().unwrap().as_ref() {
            server.signal(name);
        }
    }
}

async fn listening(program: Program) -> Server {
    spawn_blocking(|| Server::listening(program)).await.expect("the program starts")
}

fn addresses(server: &Server) -> Addresses {
    Addresses { rest: server.address().to_owned(), grpc: server.grpc_address().to_owned() }
}

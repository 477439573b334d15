//! The same routes, implemented the classic way: each request takes a pooled connection inside `web::block` and runs
//! one Diesel statement. Bodies are parsed and checked as in the service, on the same tables and with the same
//! durability.

mod row;
mod storage;
mod update;
mod v1;
mod v2;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use actix_web::dev::ServerHandle;
use actix_web::error::ErrorUnprocessableEntity;
use actix_web::{App, HttpServer, Result, web};
use serde::Deserialize;
use user_service::config::Config;
use user_service::domain::{NewUser, RawProfile};

use super::database::Database;
use super::trial::Server;
use storage::Storage;

/// The server, on threads of this process, stopped when dropped.
pub(super) struct Classic {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Classic {
    /// Starts the server, and returns when it accepts connections.
    pub(super) fn start(database: &Database) -> Self {
        let storage = web::Data::new(Storage::open(database.url()));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its number");
        let (started, handle) = channel();
        let serve = async move {
            let server = HttpServer::new(move || App::new().app_data(storage.clone()).configure(routes))
                .workers(Config::read(|_| None, false).expect("defaults").http.workers)
                .disable_signals()
                .listen(listener)?
                .run();
            let _ = started.send(server.handle());
            server.await
        };
        let thread = thread::spawn(|| actix_web::rt::System::new().block_on(serve));
        Self { address, handle: handle.recv().expect("the server starts"), thread: Some(thread) }
    }
}

impl Server for Classic {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Classic {
    fn drop(&mut self) {
        futures::executor::block_on(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/users/{id}", web::get().to(v1::get_user))
        .route("/api/v1/users", web::post().to(v1::create_user))
        .route("/api/v2/users/{id}", web::put().to(v2::update_user))
        .route("/api/v2/users", web::get().to(v2::list_users));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserBody {
    name: String,
    email: String,
}

impl UserBody {
    fn parse(self) -> Result<NewUser> {
        NewUser::parse(self.name, self.email, RawProfile::default()).map_err(|_| ErrorUnprocessableEntity("not a user"))
    }
}

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What happens to bytes between the service and its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// They arrive later.
    Delay(Duration),
    /// Each message takes a time of its own, up to this one, so that what goes over different connections overtakes.
    Jitter(Duration),
    /// New connections are closed at once; open ones go on.
    Refuse,
    /// What the service sends is lost. Its connections must be cut afterwards.
    SwallowQuestions,
    /// What the database answers is lost, likewise.
    SwallowAnswers,
}

/// A proxy between the service and PostgreSQL, which can lead to another server.
#[derive(Clone)]
pub struct Proxy {
    port: u16,
    upstream: Arc<Mutex<String>>,
    mode: Arc<watch::Sender<Mode>>,
    /// Counts how often all connections were cut.
    cuts: Arc<watch::Sender<u64>>,
}

#[derive(Clone, Copy)]
enum Direction {
    ToServer,
    ToService,
}

impl Proxy {
    pub async fn before(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (mode, cuts) = (watch::Sender::new(Mode::Pass), watch::Sender::new(0));
        let proxy = Self { port, upstream: Arc::new(Mutex::new(upstream)), mode: Arc::new(mode), cuts: Arc::new(cuts) };
        tokio::spawn(proxy.clone().accept(listener));
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Leads new connections to another server; the open ones stay where they are.
    pub fn lead_to(&self, upstream: String) {
        *self.upstream.lock().unwrap() = upstream;
    }

    pub fn leads_to(&self, upstream: &str) -> bool {
        *self.upstream.lock().unwrap() == upstream
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((service, _)) = listener.accept().await {
            if *self.mode.borrow() != Mode::Refuse {
                tokio::spawn(self.clone().pass(service));
            }
        }
    }

    async fn pass(self, service: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        let upstream = self.upstream.lock().unwrap().clone();
        let Ok(server) = TcpStream::connect(upstream).await else { return };
        let _ = (service.set_nodelay(true), server.set_nodelay(true));
        let ((from_service, to_service), (from_server, to_server)) = (service.into_split(), server.into_split());
        tokio::select! {
            () = self.one_way(from_service, to_server, Direction::ToServer) => {},
            () = self.one_way(from_server, to_service, Direction::ToService) => {},
            _ = cuts.changed() => {},
        }
    }

    async fn one_way(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            let mode = *self.mode.borrow();
            match (mode, direction) {
                (Mode::SwallowQuestions, Direction::ToServer) | (Mode::SwallowAnswers, Direction::ToService) => {
                    continue;
                }
                (Mode::Delay(time), _) => sleep(time).await,
                (Mode::Jitter(most), _) => sleep(most.mul_f64(fastrand::f64())).await,
                _ => {}
            }
            if to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that loses connections silently, as networks do with idle ones: what is sent over a lost connection arrives
/// nowhere.
pub struct Forgetful {
    port: u16,
    /// How often the proxy has lost its connections.
    age: Arc<AtomicU64>,
}

impl Forgetful {
    /// Starts the proxy in front of a server.
    pub async fn before(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let age = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(listener, upstream, Arc::clone(&age)));
        Self { port, age }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Loses all connections that are open now.
    pub fn forget(&self) {
        self.age.fetch_add(1, Relaxed);
    }
}

async fn accept(listener: TcpListener, upstream: String, age: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(&upstream).await.expect("the server is there");
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::spawn(one_way(from_client, to_server, Arc::clone(&age)));
        tokio::spawn(one_way(from_server, to_client, Arc::clone(&age)));
    }
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, age: Arc<AtomicU64>) {
    let (born, mut bytes) = (age.load(Relaxed), vec![0; 64 * 1024]);
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if age.load(Relaxed) == born && to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

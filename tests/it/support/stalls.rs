use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// PostgreSQL sends this when it is ready for the next query; here, when it has accepted a client.
const READY_FOR_QUERY: &[u8] = b"Z\0\0\0\x05I";

/// A proxy in front of PostgreSQL. While it stalls, it accepts clients and then forwards no answers, as a pooler does
/// that has lost its server.
pub struct Stalls {
    port: u16,
    stalls: Arc<AtomicBool>,
}

impl Stalls {
    pub async fn before(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stalls = Arc::new(AtomicBool::new(false));
        tokio::spawn(accept(listener, upstream, Arc::clone(&stalls)));
        Self { port, stalls }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts or stops stalling. A client that connects while the proxy stalls never gets an answer again.
    pub fn stall(&self, stalls: bool) {
        self.stalls.store(stalls, Relaxed);
    }
}

async fn accept(listener: TcpListener, upstream: String, stalls: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(&upstream).await.expect("the server is there");
        tokio::spawn(pass(client, server, Arc::clone(&stalls)));
    }
}

async fn pass(client: TcpStream, server: TcpStream, stalls: Arc<AtomicBool>) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let answers = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            if to_client.write_all(&bytes[..length]).await.is_err() {
                return;
            }
            if stalls.load(Relaxed) && bytes[..length].ends_with(READY_FOR_QUERY) {
                std::future::pending::<()>().await;
            }
        }
    };
    let questions = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    tokio::select! { () = answers => {}, () = questions => {} }
}

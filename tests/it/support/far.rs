use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A proxy that delays a server's answers, as distance would.
pub struct Far {
    port: u16,
    millis: Arc<AtomicU64>,
}

impl Far {
    pub async fn before(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let millis = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(listener, upstream, Arc::clone(&millis)));
        Self { port, millis }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the delay of answers from now on.
    pub fn answers_take(&self, time: Duration) {
        self.millis.store(u64::try_from(time.as_millis()).expect("a short time"), Relaxed);
    }
}

async fn accept(listener: TcpListener, upstream: String, millis: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(&upstream).await.expect("the server is there");
        let ((mut from_client, to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        tokio::spawn(answer(from_server, to_client, Arc::clone(&millis)));
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, millis: Arc<AtomicU64>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        sleep(Duration::from_millis(millis.load(Relaxed))).await;
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

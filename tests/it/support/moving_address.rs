use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// An address whose server a test can replace, as a failover does. New connections reach the new server; existing ones
/// stay with the old one.
pub struct MovingAddress {
    port: u16,
    upstream: Arc<Mutex<String>>,
}

impl MovingAddress {
    pub async fn of(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let upstream = Arc::new(Mutex::new(upstream));
        tokio::spawn(accept(listener, Arc::clone(&upstream)));
        Self { port, upstream }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn move_to(&self, upstream: String) {
        *self.upstream.lock().unwrap() = upstream;
    }
}

async fn accept(listener: TcpListener, upstream: Arc<Mutex<String>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let upstream = upstream.lock().unwrap().clone();
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(upstream).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

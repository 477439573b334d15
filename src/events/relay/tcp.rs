//! The TCP connection below an AMQP connection, which can be shut down independently.
//!
//! lapin waits for the broker without a timeout: while it connects, and, if the broker stops reading, while it closes.
//! Its threads would wait too, one more with each attempt. Only shutting down the socket ends that.

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties};
use socket2::{SockRef, Socket};
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shuts the connection down when dropped.
#[derive(Default)]
pub(super) struct TcpConnection(Arc<Mutex<Option<Socket>>>);

impl TcpConnection {
    /// Connects, over TLS if the URI says so.
    pub(super) async fn connect(&self, uri: AMQPUri, properties: ConnectionProperties) -> lapin::Result<Connection> {
        let shared = Arc::clone(&self.0);
        let runtime = lapin::runtime::default_runtime()?;
        // Written inline, because the type of the second argument cannot be named here.
        Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let address = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
                let open = timeout(CONNECT_TIMEOUT, AsyncTcpStream::connect(&runtime, address));
                let stream = open.await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    let socket = SockRef::from(plain.get_ref()).try_clone()?;
                    *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
                }
                if uri.scheme == AMQPScheme::AMQP {
                    return Ok(stream);
                }
                Ok(stream.into_tls(&uri.authority.host, OwnedTLSConfig::default().as_ref()).await?)
            },
            properties,
        )
        .await
    }
}

impl Drop for TcpConnection {
    fn drop(&mut self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Fails if the connection is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

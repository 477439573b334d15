//! The TCP connection beneath an AMQP connection, to be cut from outside.
//!
//! lapin waits for its peer for ever: while it connects, and, once the broker takes nothing more, while it says goodbye. A
//! thread of its own would wait with it, one more for each attempt.

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties};
use socket2::{SockRef, Socket};
use tokio::time::timeout;

/// How long it may take until somebody at the other end picks up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Cuts the connection when it is dropped.
#[derive(Default)]
pub(super) struct Line(Arc<Mutex<Option<Socket>>>);

impl Line {
    /// Connects, over TLS if the URI says so.
    pub(super) async fn connect(&self, uri: AMQPUri, properties: ConnectionProperties) -> lapin::Result<Connection> {
        let line = Arc::clone(&self.0);
        let runtime = lapin::runtime::default_runtime()?;
        // In place: the type of its second argument has no name here.
        Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let address = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
                let open = timeout(PATIENCE, AsyncTcpStream::connect(&runtime, address));
                let stream = open.await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    let socket = SockRef::from(plain.get_ref()).try_clone()?;
                    *line.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
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

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // If that fails, then because it is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

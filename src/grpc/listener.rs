//! Serves gRPC on the workers that serve HTTP. Not `tonic::transport`: it does not limit silent connections, it reports
//! its timeouts as cancelled by the caller, and it needs a multi-threaded runtime.

use std::net::TcpListener;
use std::sync::Arc;

use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::fn_service;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;

use super::calls::Calls;
use super::connection::{handshake, serve};
use super::settings::Settings;
use crate::net::{ConnectionSlot, ConnectionSlots, ListenError, prepare};

/// The ALPN protocol id (RFC 7301).
const HTTP_2: &str = "h2";

/// Adds these sockets to the server.
///
/// # Errors
/// When the sockets or the certificate cannot be used.
pub fn listen(
    mut server: ServerBuilder,
    sockets: Vec<TcpListener>,
    settings: &Settings,
    slots: &ConnectionSlots,
    calls: &Calls,
) -> Result<ServerBuilder, ListenError> {
    let tls = settings.tls.as_ref().map(|tls| tls.server_config(HTTP_2)).transpose()?;
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let settings = Arc::new(settings.clone());
    for socket in sockets {
        let failed = |cause| ListenError::Bind { address: format!("{}:{}", settings.host, settings.port), cause };
        let address = socket.local_addr().map_err(failed)?;
        let connections = Connections {
            settings: Arc::clone(&settings),
            calls: calls.clone(),
            tls: tls.clone(),
            shutdown: server.graceful_shutdown_signal(),
        };
        let slots = slots.clone();
        let service = move || {
            let (connections, slots) = (connections.clone(), slots.clone());
            fn_service(move |tcp| connections.clone().hold(tcp, slots.take()))
        };
        server = server.listen(format!("grpc on {address}"), socket, service).map_err(failed)?;
    }
    Ok(server)
}

/// What all connections share.
#[derive(Clone)]
struct Connections {
    settings: Arc<Settings>,
    calls: Calls,
    tls: Option<TlsAcceptor>,
    shutdown: GracefulShutdownSignal,
}

impl Connections {
    /// Serves a connection in this slot. Its errors are the client's.
    async fn hold(self, tcp: TcpStream, slot: ConnectionSlot) -> Result<(), ()> {
        let connection = if slot.is_in_reserve() { self.in_reserve() } else { self };
        let served = connection.serve(tcp);
        slot.hold(served).await.unwrap_or(Ok(()))
    }

    /// What connections of the reserve share.
    fn in_reserve(self) -> Self {
        let head_timeout = self.settings.head_timeout.min(ConnectionSlot::RESERVE_HEAD_TIMEOUT);
        let settings = Arc::new(Settings { head_timeout, ..Settings::clone(&self.settings) });
        Self { settings, calls: self.calls.without_authorized_methods(), ..self }
    }

    /// Serves a connection to its end.
    async fn serve(self, tcp: TcpStream) -> Result<(), ()> {
        let Self { settings, calls, tls, shutdown } = self;
        let peer = tcp.peer_addr().ok().map(|peer| peer.ip());
        prepare(&tcp, settings.response_timeout);
        let handshake = async {
            let stream = match tls {
                None => Either::Left(tcp),
                Some(tls) => Either::Right(Box::new(tls.accept(tcp).await?)),
            };
            handshake(stream).await
        };
        let stream = tokio::select! {
            stream = timeout(settings.head_timeout, handshake) => stream,
            // Does not wait for silent clients.
            () = shutdown.notified() => return Ok(()),
        };
        if let Ok(Ok(stream)) = stream {
            serve(stream, &settings, calls, peer, shutdown.notified()).await;
        }
        Ok(())
    }
}

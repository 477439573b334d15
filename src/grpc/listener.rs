//! Has the workers that serve HTTP serve gRPC too. Not `tonic::transport`: its connections that say nothing have no bound, and
//! its time-outs say that the caller cancelled.

use std::net::TcpListener;
use std::sync::Arc;

use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::fn_service;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;

use super::Settings;
use super::connection::{begin, serve};
use super::observe::Calls;
use crate::net::{ConnectionSlot, ConnectionSlots, ListenError, prepare};

/// What is spoken over TLS (RFC 7301).
const HTTP_2: &str = "h2";

/// Has the server answer whoever connects to one of these sockets.
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

/// What all connections have in common.
#[derive(Clone)]
struct Connections {
    settings: Arc<Settings>,
    calls: Calls,
    tls: Option<TlsAcceptor>,
    shutdown: GracefulShutdownSignal,
}

impl Connections {
    /// Serves a connection in this slot. What is wrong with it is its client's concern.
    async fn hold(self, tcp: TcpStream, slot: ConnectionSlot) -> Result<(), ()> {
        let connection = if slot.is_in_reserve() { self.in_reserve() } else { self };
        let served = connection.serve(tcp);
        slot.hold(served).await.unwrap_or(Ok(()))
    }

    /// What they have in common that are accepted beyond the most.
    fn in_reserve(self) -> Self {
        let head_timeout = self.settings.head_timeout.min(ConnectionSlot::RESERVE_HEAD_TIMEOUT);
        let settings = Arc::new(Settings { head_timeout, ..Settings::clone(&self.settings) });
        Self { settings, calls: self.calls.for_everybody_only(), ..self }
    }

    /// Serves a connection to its end.
    async fn serve(self, tcp: TcpStream) -> Result<(), ()> {
        let Self { settings, calls, tls, shutdown } = self;
        let peer = tcp.peer_addr().ok().map(|peer| peer.ip());
        prepare(&tcp, settings.response_timeout);
        let beginning = async {
            let stream = match tls {
                None => Either::Left(tcp),
                Some(tls) => Either::Right(Box::new(tls.accept(tcp).await?)),
            };
            begin(stream).await
        };
        let begun = tokio::select! {
            begun = timeout(settings.head_timeout, beginning) => begun,
            // Whoever has said nothing by then is not waited for.
            () = shutdown.notified() => return Ok(()),
        };
        if let Ok(Ok(begun)) = begun {
            serve(begun, &settings, calls, peer, shutdown.notified()).await;
        }
        Ok(())
    }
}

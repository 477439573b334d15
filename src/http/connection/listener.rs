use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Request};
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory, fn_service, map_config,
};
use actix_web::dev::{AppConfig, Service};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::application::Application;
use super::exchange::exchange;
use super::response_body::{CHUNK, ResponseBody};
use super::settings::ConnectionSettings;
use super::state::ConnectionState;
use super::timed_stream::{TimedStream, Timeouts};
use crate::net::{ConnectionSlot, ConnectionSlots, ListenError, TlsError, prepare};

/// How long a client that is still sending may take to notice that the service has answered and disconnected.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// actix has timeouts for the first head and for keep-alive too. Those of the stream are longer by this much, because
/// actix can answer 408 before it closes, and over TLS say that nothing follows.
const AFTER_ACTIX: Duration = Duration::from_secs(1);

/// The protocol over TLS (ALPN, RFC 7301).
const HTTP_1: &str = "http/1.1";

/// Adds a service to the server for each of these sockets, which serves the application to every connection.
///
/// # Errors
/// When a socket or the certificate cannot be used.
pub fn listen<F, I, S>(
    mut server: ServerBuilder,
    sockets: Vec<TcpListener>,
    settings: &ConnectionSettings,
    slots: &ConnectionSlots,
    application: F,
) -> Result<ServerBuilder, ListenError>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: Application,
    <S::Service as Service<Request>>::Future: 'static,
{
    let connections = Connections::new(settings, slots)?;
    for socket in sockets {
        let failed = |cause| ListenError::Bind { address: format!("{}:{}", settings.host, settings.port), cause };
        let (address, shutdown) = (socket.local_addr().map_err(failed)?, server.graceful_shutdown_signal());
        let (connections, application) = (connections.clone(), application.clone());
        let service = move || connections.clone().service(application(), address, shutdown.clone());
        server = server.listen(format!("http on {address}"), socket, service).map_err(failed)?;
    }
    Ok(server)
}

/// What all connections of a listener share.
#[derive(Clone)]
struct Connections {
    keep_alive: KeepAlive,
    head_timeout: Duration,
    max_head_bytes: usize,
    timeouts: Timeouts,
    tls: Option<TlsAcceptor>,
    slots: ConnectionSlots,
}

impl Connections {
    fn new(settings: &ConnectionSettings, slots: &ConnectionSlots) -> Result<Self, TlsError> {
        let tls = settings.tls.as_ref().map(|tls| tls.server_config(HTTP_1)).transpose()?;
        let (keep_alive, idle) = match tls {
            // The stream's timeout is enough. actix makes a timer of its own for each request.
            None => (KeepAlive::Os, settings.keep_alive),
            Some(_) => (KeepAlive::from(settings.keep_alive), settings.keep_alive + AFTER_ACTIX),
        };
        let timeouts = Timeouts { head: settings.head_timeout + AFTER_ACTIX, idle, write: settings.response_timeout };
        Ok(Self {
            keep_alive,
            head_timeout: settings.head_timeout,
            max_head_bytes: settings.max_head_bytes,
            timeouts,
            tls: tls.map(|config| TlsAcceptor::from(Arc::new(config))),
            slots: slots.clone(),
        })
    }

    /// A service that serves the application to a connection until that ends.
    fn service<I, S>(
        self,
        application: I,
        address: SocketAddr,
        shutdown: GracefulShutdownSignal,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
    where
        I: IntoServiceFactory<S, Request>,
        S: Application,
        <S::Service as Service<Request>>::Future: 'static,
    {
        let application = map_config(application.into_factory(), |()| AppConfig::default());
        let application =
            apply_fn_factory(application, |request, application: &S::Service| exchange(request, application));
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let shutdown = shutdown.clone();
                async move { shutdown.notified().await }
            })
            .keep_alive(self.keep_alive)
            .client_request_timeout(self.head_timeout)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            // actix then drops the handler of a client that has hung up.
            .h1_allow_half_closed(false)
            // A larger head reaches the application without its headers, to be answered with 431.
            .h1_max_head_size(self.max_head_bytes)
            .h1_allow_upgrade(false)
            // With a whole chunk in its write buffer, the connection asks the body for no other.
            .h1_write_buffer_size(CHUNK)
            .local_addr(address)
            .on_connect_ext(|stream: &Stream, data| {
                data.insert(connection_state(stream));
            })
            .h1::<_, ResponseBody>(application);
        let accept = move |(tcp, is_in_reserve)| accept(tcp, is_in_reserve, self.timeouts, self.tls.clone());
        let slots = self.slots;
        apply_fn_factory(fn_service(accept).and_then(http), move |tcp, service| {
            let slot = slots.take();
            let connection = service.call((tcp, slot.is_in_reserve()));
            async move { slot.hold(connection).await.unwrap_or(Ok(())) }
        })
    }
}

type Stream = Either<TimedStream, Box<TlsStream<TimedStream>>>;

async fn accept(
    tcp: TcpStream,
    is_in_reserve: bool,
    timeouts: Timeouts,
    tls: Option<TlsAcceptor>,
) -> Result<(Stream, Option<SocketAddr>), DispatchError> {
    let peer = tcp.peer_addr().ok();
    prepare(&tcp, timeouts.write);
    let head = if is_in_reserve { ConnectionSlot::RESERVE_HEAD_TIMEOUT } else { timeouts.head };
    let stream = TimedStream::new(tcp, Timeouts { head, ..timeouts }, is_in_reserve);
    let stream = match tls {
        None => Either::Left(stream),
        Some(tls) => Either::Right(Box::new(tls.accept(stream).await?)),
    };
    Ok((stream, peer))
}

fn connection_state(stream: &Stream) -> ConnectionState {
    match stream {
        Either::Left(plain) => plain.state(),
        Either::Right(tls) => tls.get_ref().0.state(),
    }
}

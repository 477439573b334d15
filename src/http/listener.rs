//! What becomes of a connection: TLS, bounds on waiting, HTTP/1.1.
//!
//! What `actix_web::HttpServer` does, but that the connection itself is ours, and so can have those bounds.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory, fn_service, map_config,
};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Service, ServiceResponse};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::Settings;
use super::pieces::PIECE;
use super::timed::{Patience, Timed, Turns};
use crate::net::{ListenError, Place, Places, TlsError, prepare};

/// How long a client that is still sending may take to see that it was answered and disconnected.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Where actix bounds a wait too, it goes first: it can say why.
const GRACE: Duration = Duration::from_secs(1);

/// What is spoken over TLS (RFC 7301).
const HTTP_1: &str = "http/1.1";

type Stream = Either<Timed, Box<TlsStream<Timed>>>;

/// What `actix_web::App` becomes.
pub trait Application:
    ServiceFactory<
        Request,
        Config = AppConfig,
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    > + 'static
{
}

impl<S> Application for S where
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static
{
}

/// Has the server answer whoever connects to one of these sockets.
///
/// # Errors
/// When the sockets or the certificate cannot be used.
pub fn listen<F, I, S>(
    mut server: ServerBuilder,
    sockets: Vec<TcpListener>,
    settings: &Settings,
    places: &Places,
    application: F,
) -> Result<ServerBuilder, ListenError>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: Application,
    <S::Service as Service<Request>>::Future: 'static,
{
    let connections = Connections::new(settings, places)?;
    for socket in sockets {
        let failed = |cause| ListenError::Bind { address: format!("{}:{}", settings.host, settings.port), cause };
        let (address, shutdown) = (socket.local_addr().map_err(failed)?, server.graceful_shutdown_signal());
        let (connections, application) = (connections.clone(), application.clone());
        let service = move || connections.clone().service(application(), address, shutdown.clone());
        server = server.listen(format!("http on {address}"), socket, service).map_err(failed)?;
    }
    Ok(server)
}

/// What all connections have in common.
#[derive(Clone)]
struct Connections {
    keep_alive: Duration,
    head_timeout: Duration,
    max_head_bytes: usize,
    patience: Patience,
    tls: Option<TlsAcceptor>,
    places: Places,
}

impl Connections {
    fn new(settings: &Settings, places: &Places) -> Result<Self, TlsError> {
        let tls = settings.tls.as_ref().map(|tls| tls.server_config(HTTP_1)).transpose()?;
        let patience = Patience {
            head: settings.head_timeout + GRACE,
            idle: settings.keep_alive + GRACE,
            answer: settings.response_timeout,
        };
        Ok(Self {
            keep_alive: settings.keep_alive,
            head_timeout: settings.head_timeout,
            max_head_bytes: settings.max_head_bytes,
            patience,
            tls: tls.map(|config| TlsAcceptor::from(Arc::new(config))),
            places: places.clone(),
        })
    }

    /// Has an application answer what comes over a connection.
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
        let application = application.into_factory().map_err(|error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let shutdown = shutdown.clone();
                async move { shutdown.notified().await }
            })
            .keep_alive(self.keep_alive)
            .client_request_timeout(self.head_timeout)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            // A client that hung up must not leave its handler running.
            .h1_allow_half_closed(false)
            // A larger one comes to its 431 without its headers.
            .h1_max_head_size(self.max_head_bytes)
            .h1_allow_upgrade(false)
            // With a whole piece in it, it takes no other.
            .h1_write_buffer_size(PIECE)
            .local_addr(address)
            .on_connect_ext(|stream: &Stream, data| {
                data.insert(turns(stream));
            })
            .h1::<_, BoxBody>(map_config(application, |()| AppConfig::default()));
        let accept = move |(tcp, is_in_reserve)| accept(tcp, is_in_reserve, self.patience, self.tls.clone());
        let places = self.places;
        apply_fn_factory(fn_service(accept).and_then(http), move |tcp, service| {
            let place = places.take();
            let connection = service.call((tcp, place.is_in_reserve()));
            async move { place.hold(connection).await.unwrap_or(Ok(())) }
        })
    }
}

async fn accept(
    tcp: TcpStream,
    is_in_reserve: bool,
    patience: Patience,
    tls: Option<TlsAcceptor>,
) -> Result<(Stream, Option<SocketAddr>), DispatchError> {
    let peer = tcp.peer_addr().ok();
    prepare(&tcp, patience.answer);
    let head = if is_in_reserve { Place::BEGINS_WITHIN } else { patience.head };
    let timed = Timed::new(tcp, Patience { head, ..patience }, is_in_reserve);
    let stream = match tls {
        None => Either::Left(timed),
        Some(tls) => Either::Right(Box::new(tls.accept(timed).await?)),
    };
    Ok((stream, peer))
}

fn turns(stream: &Stream) -> Turns {
    match stream {
        Either::Left(plain) => plain.turns(),
        Either::Right(tls) => tls.get_ref().0.turns(),
    }
}

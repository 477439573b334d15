//! Listening sockets, and what becomes of a connection: TLS, bounds on waiting, HTTP/1.1.
//!
//! What `actix_web::HttpServer` does, but that the connection itself is ours, and so can have those bounds.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Service, ServiceResponse};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::Settings;
use super::timed::{Patience, Timed, Turns};
use super::tls::TlsError;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 2048;
/// How long a client that is still sending may take to see that it was answered and disconnected.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of an answer a connection holds before it waits for the client, in bytes; besides one piece of it.
const WRITE_BUFFER: usize = 16 << 10;
/// How much of them the kernel may hold for a client that does not read, in bytes: left to itself, megabytes.
const SEND_BUFFER: usize = 64 << 10;
/// Where actix bounds a wait too, it goes first: it can say why.
const GRACE: Duration = Duration::from_secs(1);

type Stream = Either<Timed, Box<TlsStream<Timed>>>;

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {cause}")]
    Bind { address: String, cause: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Binds a socket to each address of the configured host that this machine has.
///
/// # Errors
/// When one of them cannot be bound, or there are none.
pub fn bind(settings: &Settings) -> Result<Vec<TcpListener>, ListenError> {
    let address = format!("{}:{}", settings.host, settings.port);
    let sockets = address.to_socket_addrs().and_then(bind_all);
    sockets.map_err(|cause| ListenError::Bind { address, cause })
}

/// A name may stand for an address that the machine lacks, as `localhost` does for `::1` where there is no IPv6.
fn bind_all(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<TcpListener>> {
    let (mut sockets, mut lacking) = (Vec::new(), io::ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        match bind_one(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_lacking(&error) => lacking = error,
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() { Err(lacking) } else { Ok(sockets) }
}

fn is_lacking(error: &io::Error) -> bool {
    /// EAFNOSUPPORT: the kernel does not know this kind of address at all. It has no name in [`io::ErrorKind`].
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart need not wait for the connections of the one before to be forgotten.
    socket.set_reuse_address(true)?;
    // The connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

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
    application: F,
) -> Result<ServerBuilder, ListenError>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: Application,
    <S::Service as Service<Request>>::Future: 'static,
{
    let connections = Connections::new(settings)?;
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
    patience: Patience,
    tls: Option<TlsAcceptor>,
}

impl Connections {
    fn new(settings: &Settings) -> Result<Self, TlsError> {
        let tls = settings.tls.as_ref().map(super::Tls::server_config).transpose()?;
        let patience = Patience {
            head: settings.head_timeout + GRACE,
            idle: settings.keep_alive + GRACE,
            answer: settings.response_timeout,
        };
        Ok(Self {
            keep_alive: settings.keep_alive,
            head_timeout: settings.head_timeout,
            patience,
            tls: tls.map(|config| TlsAcceptor::from(Arc::new(config))),
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
            .h1_write_buffer_size(WRITE_BUFFER)
            .local_addr(address)
            .on_connect_ext(|stream: &Stream, data| {
                data.insert(turns(stream));
            })
            .h1::<_, BoxBody>(map_config(application, |()| AppConfig::default()));
        fn_service(move |stream| accept(stream, self.patience, self.tls.clone())).and_then(http)
    }
}

async fn accept(
    tcp: TcpStream,
    patience: Patience,
    tls: Option<TlsAcceptor>,
) -> Result<(Stream, Option<SocketAddr>), DispatchError> {
    let peer = tcp.peer_addr().ok();
    // If these fail, then because the client has gone already; the first read will say so.
    let _ = tcp.set_nodelay(true);
    // What was handed to the kernel has a bound too, even after the connection is closed.
    let _ = SockRef::from(&tcp).set_tcp_user_timeout(Some(patience.answer));
    let timed = Timed::new(tcp, patience);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// For documentation only (RFC 5737): no machine has it.
    const ELSEWHERE: &str = "192.0.2.1:0";

    fn bind(addresses: &[&str]) -> io::Result<usize> {
        bind_all(addresses.iter().map(|address| address.parse().unwrap())).map(|sockets| sockets.len())
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_left_out() {
        assert_eq!(bind(&[ELSEWHERE, "127.0.0.1:0"]).unwrap(), 1);
        assert_eq!(bind(&[ELSEWHERE]).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
        assert!(bind(&[]).is_err());
    }

    #[test]
    fn one_that_is_taken_is_not() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap().to_string();
        assert_eq!(bind(&["127.0.0.1:0", &taken]).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}

//! The service's address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

/// For a connection, with its TLS handshake.
const CONNECT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Target {
    pub host: HeaderValue,
    /// What stands before `/api`.
    pub base: String,
    addresses: Vec<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Target {
    /// Resolves the name once: a run is against one place.
    pub(crate) async fn resolve(url: &Url) -> Result<Self, String> {
        let wrong = |what: &str| format!("{url}: {what}");
        let name = url.host_str().ok_or_else(|| wrong("has no host"))?;
        let port = url.port_or_known_default().ok_or_else(|| wrong("has no port"))?;
        // Brackets are the URL's, not the address'.
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, port)).await.map_err(|error| wrong(&error.to_string()))?;
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        Ok(Self {
            host: HeaderValue::try_from(host).map_err(|_| wrong("has a host that no header can hold"))?,
            base: url.path().trim_end_matches('/').to_owned(),
            addresses: found.collect(),
            tls: (url.scheme() == "https").then(|| tls(bare)).transpose().map_err(|error| wrong(&error))?,
        })
    }

    /// Whether the service shares this machine with the generator.
    pub(crate) fn is_local(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().is_loopback())
    }

    pub(crate) async fn connect(&self) -> Result<TokioIo<Box<dyn Stream>>, String> {
        match timeout(CONNECT, self.try_connect()).await {
            Ok(stream) => stream.map(TokioIo::new),
            Err(_) => Err("no connection within 5 s".to_owned()),
        }
    }

    async fn try_connect(&self) -> Result<Box<dyn Stream>, String> {
        let stream =
            TcpStream::connect(self.addresses.as_slice()).await.map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        match &self.tls {
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                Ok(Box::new(stream.map_err(|error| format!("TLS: {error}"))?))
            }
            None => Ok(Box::new(stream)),
        }
    }
}

/// With the platform's certificates, as the project's client.
fn tls(host: &str) -> Result<(TlsConnector, ServerName<'static>), String> {
    let text = |error: rustls::Error| error.to_string();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(text)?;
    let mut config = config.with_platform_verifier().map_err(text)?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

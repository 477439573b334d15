//! TLS on the server's side, with a certificate that can be replaced while the service runs.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificate's file {0}")]
    Certificate(&'static str),
    #[error("the key's file {0}")]
    Key(&'static str),
    #[error("{0}")]
    Unfit(#[from] rustls::Error),
}

/// A certificate and its key. Clones share one.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Certificate>);

#[derive(Debug)]
struct Certificate {
    chain_file: PathBuf,
    key_file: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Tls {
    /// Loads a certificate chain, the service's own certificate first, and its private key. Both files are PEM (RFC
    /// 7468).
    ///
    /// # Errors
    /// When a file cannot be read, or the key is not the certificate's.
    pub fn load(chain_file: PathBuf, key_file: PathBuf) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let current = RwLock::new(Arc::new(read(&chain_file, &key_file, &provider)?));
        Ok(Self(Arc::new(Certificate { chain_file, key_file, provider, current })))
    }

    /// Loads the files again, for new connections.
    ///
    /// # Errors
    /// The errors of [`Self::load`]. The certificate then stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Certificate { chain_file, key_file, provider, current } = &*self.0;
        let new = Arc::new(read(chain_file, key_file, provider)?);
        *current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The configuration for rustls: TLS 1.2 and 1.3, one protocol over it (ALPN, RFC 7301), and no client
    /// certificates.
    ///
    /// # Errors
    /// When the crypto provider supports neither version of TLS.
    pub fn server_config(&self, protocol: &str) -> Result<ServerConfig, TlsError> {
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.0.provider));
        let mut config = config
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Ok(config)
    }
}

fn read(chain_file: &PathBuf, key_file: &PathBuf, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_file_iter(chain_file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| TlsError::Certificate(message(&error)))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| TlsError::Key(message(&error)))?;
    // This also checks that the key is the certificate's.
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}

/// Not the library's own messages: these can quote the file, which may hold a key.
const fn message(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::Io(_) => "cannot be read",
        pem::Error::NoItemsFound => "holds none",
        _ => "is no PEM file, or is damaged",
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Signed;

/// A server of one document, which a test can change or take down.
pub struct Issuer {
    url: String,
    state: Arc<State>,
}

struct State {
    document: Mutex<String>,
    asked: AtomicUsize,
    is_down: AtomicBool,
}

impl Issuer {
    pub fn of(document: &str) -> Self {
        Self::start(document, "http", Ok)
    }

    /// An issuer that serves over TLS.
    pub fn secure(document: &str, signed: &Signed) -> Self {
        let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("TLS").with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certificate], key).expect("a certificate and its key"));
        let connect = move |stream| {
            let session = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            Ok(StreamOwned::new(session, stream))
        };
        Self::start(document, "https", connect)
    }

    fn start<S: Read + Write>(
        document: &str,
        scheme: &str,
        connect: impl Fn(TcpStream) -> io::Result<S> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("{scheme}://{}/keys", listener.local_addr().expect("its address"));
        let (asked, is_down) = (AtomicUsize::new(0), AtomicBool::new(false));
        let state = Arc::new(State { document: Mutex::new(document.to_owned()), asked, is_down });
        let shared = Arc::clone(&state);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let _ = connect(stream).map(|stream| shared.answer(stream));
            }
        });
        Self { url, state }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn publish(&self, document: &str) {
        document.clone_into(&mut self.state.document.lock().unwrap());
    }

    /// Answers with errors from now on.
    pub fn go_down(&self) {
        self.state.is_down.store(true, Ordering::SeqCst);
    }

    pub fn come_back(&self) {
        self.state.is_down.store(false, Ordering::SeqCst);
    }

    /// The number of requests so far.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

impl State {
    fn answer(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        let head = stream.by_ref().lines().map_while(Result::ok);
        if head.take_while(|line| !line.is_empty()).count() == 0 {
            return;
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let status = if self.is_down.load(Ordering::SeqCst) { "503 Service Unavailable" } else { "200 OK" };
        let body = self.document.lock().unwrap().clone();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let stream = stream.get_mut();
        let _ = stream.write_all((head + &body).as_bytes()).and_then(|()| stream.flush());
    }
}

//! TLS for clients.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use rstest::rstest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::support::{App, Authority, Db, Program, Raw, Server, Signed, until};

const HOST: &str = "127.0.0.1";

struct Secure {
    dir: TempDir,
    server: Server,
}

impl Secure {
    fn with(signed: &Signed, vars: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        signed.write(dir.path());
        let server = Server::listening(program(dir.path()).envs(vars));
        Self { dir, server }
    }

    fn get(&self, path: &str, trusted: &Authority) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        agent(trusted).get(format!("https://{}{path}", self.server.address())).call()
    }
}

fn program(dir: &Path) -> Program {
    Program::new(dir).env("TLS_CERT", "cert.pem").env("TLS_KEY", "key.pem").with_a_key()
}

fn agent(trusted: &Authority) -> Agent {
    let roots = RootCerts::new_with_certs(&[Certificate::from_pem(trusted.pem().as_bytes()).unwrap()]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(roots).build();
    Agent::config_builder().tls_config(tls).timeout_global(Some(Duration::from_secs(10))).build().into()
}

#[test]
fn it_is_spoken_and_nothing_else_is() {
    let authority = Authority::new();
    let secure = Secure::with(&authority.sign(HOST), &[]);
    let answer = secure.get("/health", &authority).unwrap();
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    assert!(secure.server.log().contains("curl -i https://"), "{}", secure.server.log());
    assert!(secure.get("/health", &Authority::new()).is_err(), "the client trusts another authority");
    let mut plain = Raw::connect(secure.server.address());
    plain.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!plain.read_to_end().contains("HTTP/1.1"), "an answer without TLS");
}

#[test]
fn the_healthcheck_speaks_it_too() {
    let secure = Secure::with(&Authority::new().sign("users.example.com"), &[]);
    let check = program(secure.dir.path()).args(["healthcheck"]).env("SERVER_PORT", secure.server.port());
    check.run().succeeded();
    // The service may not have loaded the files that are wrong now.
    fs::write(secure.dir.path().join("cert.pem"), "half of a certi").unwrap();
    let check = program(secure.dir.path()).args(["healthcheck"]).env("SERVER_PORT", secure.server.port());
    check.run().succeeded();
}

#[test]
fn a_handshake_that_does_not_come_is_not_waited_for() {
    let secure = Secure::with(&Authority::new().sign(HOST), &[("HEAD_TIMEOUT", "500ms")]);
    let begun = Instant::now();
    Raw::connect(secure.server.address()).read_to_end();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn sighup_takes_the_new_certificate_and_no_bad_one() {
    let (old, new) = (Authority::new(), Authority::new());
    let secure = Secure::with(&old.sign(HOST), &[]);
    secure.get("/health", &old).unwrap();
    fs::write(secure.dir.path().join("cert.pem"), "half of a certi").unwrap();
    secure.server.signal("HUP");
    let log = || secure.server.log();
    until("the failure is logged", Duration::from_secs(5), async || log().contains("the certificate stays as it was"))
        .await;
    secure.get("/health", &old).unwrap();
    new.sign(HOST).write(secure.dir.path());
    secure.server.signal("HUP");
    until("the new certificate is used", Duration::from_secs(5), async || secure.get("/health", &new).is_ok()).await;
    assert!(secure.get("/health", &old).is_err());
}

#[test]
fn what_cannot_be_used_is_told_at_once() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (Authority::new().sign(HOST), Authority::new().sign(HOST));
    let check = || program(dir.path()).args(["check-config"]);
    assert!(check().run().exited(2).line_about("TLS_CERT").contains("cert.pem"), "missing files");
    one.write(dir.path());
    check().run().succeeded();
    check().env("TLS_KEY", "").run().exited(2).line_about("TLS_KEY");
    check().env("TLS_CERT", "").run().exited(2).line_about("TLS_CERT");
    fs::write(dir.path().join("key.pem"), &other.key).unwrap();
    check().run().exited(2).line_about("TLS_CERT");
    let secret = one.key.lines().nth(1).unwrap();
    let bytes = secret.bytes().take(8).map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let in_one_line = one.key.replace('\n', "");
    one.write(dir.path());
    fs::write(dir.path().join("key.pem"), &in_one_line).unwrap();
    let given = [("TLS_KEY", &one.key), ("TLS_CERT", &one.key), ("TLS_CERT", &in_one_line)];
    let outputs = given.map(|(name, value)| check().env(name, value).run());
    let base64 = check().env("TLS_KEY", secret).run();
    for output in outputs.into_iter().chain([base64, check().run()]) {
        let text = output.exited(2).stderr;
        assert!(!text.contains(secret) && !text.contains(&bytes), "{text}");
    }
}

/// The service must survive SIGHUP from a closed terminal, or from an operator who mistakes it for another one.
#[tokio::test]
async fn sighup_without_a_certificate_changes_nothing() {
    let app = App::start(Db::Sqlite).await;
    app.signal("HUP");
    until("the signal is logged", Duration::from_secs(5), async || {
        app.log().contains("SIGHUP: there is nothing to reload")
    })
    .await;
    app.create("John", "john@example.com").await;
}

/// A connection after the handshake, in which the client offers these protocols.
fn connect(
    address: &str,
    trusted: &Authority,
    offered: &[&str],
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = Vec::from_iter(offered.iter().map(|protocol| protocol.as_bytes().to_vec()));
    let mut tls = ClientConnection::new(Arc::new(config), HOST.try_into().unwrap()).unwrap();
    let mut tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    Ok(StreamOwned::new(tls, tcp))
}

/// The protocol on which server and client agree in the handshake.
fn agreed(address: &str, trusted: &Authority, offered: &[&str]) -> io::Result<Option<String>> {
    let stream = connect(address, trusted, offered)?;
    Ok(stream.conn.alpn_protocol().map(|protocol| String::from_utf8(protocol.to_vec()).unwrap()))
}

/// An end without a farewell (`close_notify`) is an error to the client: the answer may have been cut off.
#[test]
fn an_idle_connection_ends_with_a_farewell() {
    let authority = Authority::new();
    let Secure { server, dir: _dir } = Secure::with(&authority.sign(HOST), &[("KEEP_ALIVE", "500ms")]);
    let mut stream = connect(server.address(), &authority, &["http/1.1"]).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a farewell");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// A server without a common protocol sends an alert (RFC 7301, 3.2), instead of using one that the client does not
/// know.
#[rstest]
#[case(&["http/1.1"], Some("http/1.1"), None)]
#[case(&["h2"], None, Some("h2"))]
#[case(&["h2", "http/1.1"], Some("http/1.1"), Some("h2"))]
#[case(&["h3", "spdy/1"], None, None)]
fn what_is_spoken_is_agreed_upon(#[case] offered: &[&str], #[case] http: Option<&str>, #[case] grpc: Option<&str>) {
    let authority = Authority::new();
    let Secure { server, dir: _dir } = Secure::with(&authority.sign(HOST), &[]);
    for (address, expected) in [(server.address(), http), (server.grpc_address(), grpc)] {
        match (agreed(address, &authority, offered), expected) {
            (Ok(protocol), expected) => assert!(protocol.is_some() && protocol.as_deref() == expected, "{protocol:?}"),
            (Err(error), None) => assert!(error.to_string().contains("NoApplicationProtocol"), "{error}"),
            (Err(error), Some(_)) => panic!("{error}"),
        }
        // A client that offers no protocol knows the protocol by other means.
        assert_eq!(agreed(address, &authority, &[]).unwrap(), None);
    }
}

//! The variables of HTTP, and of TLS for both protocols.

use std::num::NonZeroUsize;

use super::address::{host, http_url};
use super::reader::Reader;
use crate::http::{self, Origins};
use crate::net::Tls;
use crate::telemetry::AccessLog;

const TLS_CERT: &str = "TLS_CERT";
const TLS_KEY: &str = "TLS_KEY";

impl Reader<'_> {
    pub(super) fn http(&mut self, needs_keys: bool) -> Option<http::Settings> {
        let host = self.word("SERVER_HOST", "127.0.0.1", "a host name or an IP address", host);
        let port =
            self.value("SERVER_PORT", "3000", "a port, 0 to 65535 (0 picks a free one)", |text| text.parse().ok());
        let workers = self.count("SERVER_WORKERS", &cores().to_string(), 512);
        let max_connections = self.count("MAX_CONNECTIONS", "10000", 1_000_000);
        let max_head_bytes = self.count("MAX_HEAD_BYTES", "16384", 128 << 10);
        let max_body_bytes = self.count("MAX_BODY_BYTES", "65536", 16 << 20);
        let head_timeout = self.duration("HEAD_TIMEOUT", "5s");
        let body_timeout = self.duration("BODY_TIMEOUT", "10s");
        let response_timeout = self.duration("RESPONSE_TIMEOUT", "15s");
        let keep_alive = self.duration("KEEP_ALIVE", "60s");
        let origins = self.origins();
        let access_log = self.word("ACCESS_LOG", "problems", "all, problems or off", AccessLog::parse);
        let slow_request = self.duration("SLOW_REQUEST", "1s");
        let server_timing = self.word("SERVER_TIMING", "off", "on or off", |text| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        });
        let files = self.tls_files();
        let over_tls = files.is_some();
        let tls = files.filter(|_| needs_keys).and_then(|files| self.tls(files));
        Some(http::Settings {
            host: host?,
            port: port?,
            workers: workers?,
            max_connections: max_connections?,
            max_head_bytes: max_head_bytes?,
            max_body_bytes: max_body_bytes?,
            head_timeout: head_timeout?,
            body_timeout: body_timeout?,
            response_timeout: response_timeout?,
            keep_alive: keep_alive?,
            origins: origins?,
            access_log: access_log?,
            slow_request: slow_request?,
            server_timing: server_timing?,
            over_tls,
            tls,
        })
    }

    fn origins(&mut self) -> Option<Origins> {
        let expected = "origins between commas, such as https://example.com, or *";
        let is_one = |origin: &str| matches!(origin, "" | "*") || http_url(origin).is_some();
        self.word("CORS_ORIGINS", "", expected, |text| {
            Origins::parse(text).filter(|_| text.split(',').map(str::trim).all(is_one))
        })
    }

    /// The paths of the certificate and its key. `None` if there is no TLS, or a mistake.
    fn tls_files(&mut self) -> Option<(String, String)> {
        let (certificate, key) = (self.text(TLS_CERT), self.text(TLS_KEY));
        match (certificate.ok()?, key.ok()?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (certificate, _) => {
                let missing = if certificate.is_none() { TLS_CERT } else { TLS_KEY };
                self.mistake(missing, "", "a PEM file: TLS_CERT and TLS_KEY go together")
            }
        }
    }

    /// Loads the certificate. `None` if there is a mistake.
    fn tls(&mut self, (certificate, key): (String, String)) -> Option<Tls> {
        match Tls::load(certificate.clone().into(), key.into()) {
            Ok(tls) => {
                self.effective.extend([(TLS_CERT, certificate), (TLS_KEY, "***".to_owned())]);
                Some(tls)
            }
            Err(error) => {
                let expected = "a PEM file with a chain of certificates, and TLS_KEY one with the key of the first";
                self.mistake(TLS_CERT, &certificate, format!("{expected}: {error}"))
            }
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

//! The variables of gRPC. Whatever they do not set is as for HTTP.

use super::reader::Reader;
use crate::{grpc, http, storage};

impl Reader<'_> {
    /// Reads the settings of gRPC.
    pub(super) fn grpc(
        &mut self,
        http: Option<&http::Settings>,
        storage: Option<&storage::Settings>,
    ) -> Option<grpc::Settings> {
        const GRPC_PORT: &str = "GRPC_PORT";
        let port = self.value(GRPC_PORT, "50051", "a port, 0 to 65535 (0 picks a free one)", |text| text.parse().ok());
        let max_streams = self.count("GRPC_MAX_STREAMS", "128", 10_000);
        let ping_interval = self.duration("GRPC_PING_INTERVAL", "30s");
        let max_connection_age = self.duration("GRPC_MAX_CONNECTION_AGE", "30m");
        let http = http?;
        let is_free = port.is_none_or(|port| port == 0 || port != http.port);
        self.require(is_free, GRPC_PORT, "another port than SERVER_PORT")?;
        Some(grpc::Settings {
            host: http.host.clone(),
            port: port?,
            max_streams: u32::try_from(max_streams?).ok()?,
            // As many calls as there may be HTTP connections.
            max_calls: http.max_connections,
            max_head_bytes: u32::try_from(http.max_head_bytes).ok()?,
            max_message_bytes: http.max_body_bytes,
            head_timeout: http.head_timeout,
            response_timeout: http.response_timeout,
            // Time for the message to arrive, and for the database to respond.
            call_timeout: http.body_timeout + storage?.deadline,
            keep_alive: http.keep_alive,
            ping_interval: ping_interval?,
            max_connection_age: max_connection_age?,
            access_log: http.access_log,
            server_timing: http.server_timing,
            slow_request: http.slow_request,
            tls: http.tls.clone(),
        })
    }
}

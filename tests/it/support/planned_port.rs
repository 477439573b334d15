use std::net::TcpListener;
use std::ops::Range;

/// Below those that Linux gives to outgoing connections: one of those could take it while its server is stopped.
const PORTS: Range<u32> = 20_000..32_000;

/// A port for a server that may stop and start again: nobody listens on it now.
pub fn planned_port() -> u16 {
    loop {
        let chance = getrandom::u32().expect("a random number") % (PORTS.end - PORTS.start);
        let port = u16::try_from(PORTS.start + chance).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

use std::net::TcpListener;
use std::ops::Range;

/// Ports below those that Linux assigns to outgoing connections. A connection could take one of those while the server
/// is stopped.
const PORTS: Range<u32> = 20_000..32_000;

/// A port on which nobody listens now, for a server that may stop and start again.
pub fn planned_port() -> u16 {
    loop {
        let chance = getrandom::u32().expect("a random number") % (PORTS.end - PORTS.start);
        let port = u16::try_from(PORTS.start + chance).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

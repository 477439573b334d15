use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;

use super::TlsError;

/// How many connections the kernel queues until the service accepts them.
const BACKLOG: i32 = 2048;
/// How many bytes the kernel buffers for a client that does not read. Its own default grows to megabytes.
const SEND_BUFFER: usize = 64 << 10;

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {cause}")]
    Bind { address: String, cause: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Binds a socket to each of the host's addresses that this machine has.
///
/// # Errors
/// When one of these addresses cannot be bound, or the machine has none of them.
pub fn bind(host: &str, port: u16) -> Result<Vec<TcpListener>, ListenError> {
    let address = format!("{host}:{port}");
    let sockets = address.to_socket_addrs().and_then(bind_all);
    sockets.map_err(|cause| ListenError::Bind { address, cause })
}

/// A name can resolve to an address that the machine lacks, as `localhost` does to `::1` where there is no IPv6.
fn bind_all(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<TcpListener>> {
    let (mut sockets, mut not_available) = (Vec::new(), io::ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        match bind_one(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_not_available(&error) => not_available = error,
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() { Err(not_available) } else { Ok(sockets) }
}

fn is_not_available(error: &io::Error) -> bool {
    /// EAFNOSUPPORT: the kernel lacks the address family. [`io::ErrorKind`] has no name for it.
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted service can bind while connections of the previous process are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets a connection's options: bytes leave at once, and the kernel drops the connection if the client does not
/// acknowledge them within the timeout, even after the service has closed it.
pub fn prepare(tcp: &TcpStream, write_timeout: Duration) {
    // They fail only if the client has gone, which the first read reports.
    let _ = tcp.set_nodelay(true);
    let _ = SockRef::from(tcp).set_tcp_user_timeout(Some(write_timeout));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reserved for documentation (RFC 5737), so no machine has it.
    const NOT_OURS: &str = "192.0.2.1:0";

    fn bind(addresses: &[&str]) -> io::Result<usize> {
        bind_all(addresses.iter().map(|address| address.parse().unwrap())).map(|sockets| sockets.len())
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_left_out() {
        assert_eq!(bind(&[NOT_OURS, "127.0.0.1:0"]).unwrap(), 1);
        assert_eq!(bind(&[NOT_OURS]).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
        assert!(bind(&[]).is_err());
    }

    #[test]
    fn an_address_in_use_is_an_error() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap().to_string();
        assert_eq!(bind(&["127.0.0.1:0", &taken]).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}

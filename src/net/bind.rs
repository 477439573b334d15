use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;

use super::TlsError;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 2048;
/// How much of what is sent the kernel may hold for a client that does not read, in bytes: left to itself, megabytes.
const SEND_BUFFER: usize = 64 << 10;

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {cause}")]
    Bind { address: String, cause: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Binds a socket to each address of a host that this machine has.
///
/// # Errors
/// When one of them cannot be bound, or there are none.
pub fn bind(host: &str, port: u16) -> Result<Vec<TcpListener>, ListenError> {
    let address = format!("{host}:{port}");
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

/// Makes a connection ready: what is sent goes out at once, and is given up when the client has not taken it for as long as
/// this, even after the connection is closed.
pub fn prepare(tcp: &TcpStream, patience: Duration) {
    // If these fail, then because the client has gone already; the first read will say so.
    let _ = tcp.set_nodelay(true);
    let _ = SockRef::from(tcp).set_tcp_user_timeout(Some(patience));
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

//! HTTP/2 as an attacker uses it: frame by frame.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// The beginning of a connection: the preface, and an empty settings frame.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection without a token. Its calls have odd numbers, from 1.
pub struct Http2(TcpStream);

impl Http2 {
    pub fn connect(address: &str) -> Self {
        Self::begin(TcpStream::connect(address).expect("the server accepts"))
    }

    /// A connection with almost no room for what the server sends. It never reads.
    pub fn connect_deaf(address: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(2048).expect("a small buffer");
        let address: SocketAddr = address.parse().expect("an address");
        socket.connect(&address.into()).expect("the server accepts");
        Self::begin(socket.into())
    }

    fn begin(stream: TcpStream) -> Self {
        stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let mut connection = Self(stream);
        connection.write(BEGINNING);
        connection
    }

    /// Begins a call, without its messages.
    pub fn call(&mut self, number: u32, method: &str) {
        self.frame(HEADERS, END_HEADERS, number, &head(method, 0));
    }

    /// Begins a call with as many additional headers as a head of 16 KiB may have. Each takes one byte on the wire.
    pub fn call_with_many_headers(&mut self, number: u32, method: &str) {
        self.frame(HEADERS, END_HEADERS, number, &head(method, 460));
    }

    /// Begins a call whose head does not end.
    pub fn begin_head(&mut self, number: u32, method: &str) {
        self.frame(HEADERS, 0, number, &head(method, 460));
    }

    pub fn data(&mut self, number: u32, bytes: &[u8]) {
        self.frame(DATA, 0, number, bytes);
    }

    /// Sends a message of a call.
    pub fn message(&mut self, number: u32, message: &[u8]) {
        let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
        self.data(number, &[&[0], &length[..], message].concat());
    }

    /// Sends a PING answer that the server never asked for.
    pub fn pong(&mut self) {
        self.frame(PING, ACK, 0, &[7; 8]);
    }

    /// Reads what the server has sent, and returns whether it has hung up.
    pub fn is_over(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        match self.0.read(&mut [0; 4096]) {
            Ok(length) => length == 0,
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        self.write(&[&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat());
    }

    /// Writes, and ignores failures: a server may defend itself by hanging up or by not reading.
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }
}

/// A head without compression (RFC 7541), except for one header that the connection's table stores. That header is
/// repeated `more` times.
fn head(method: &str, more: usize) -> Vec<u8> {
    let literal = |first: u8, name: &[u8], value: &[u8]| {
        let length = |text: &[u8]| u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text");
        [&[first, length(name)], name, &[length(value)], value].concat()
    };
    let mut head = literal(0, b":path", format!("/{method}").as_bytes());
    for (name, value) in [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), ("te", "trailers")] {
        head.extend(literal(0, name.as_bytes(), value.as_bytes()));
    }
    head.extend(literal(0, b"content-type", b"application/grpc"));
    if more > 0 {
        // It becomes the first entry of the table, which is number 62, and 0xbe names it.
        head.extend(literal(0x40, b"a", b"b"));
        head.extend(std::iter::repeat_n(0xbe, more));
    }
    head
}

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::token::TOKEN;

/// A connection that sends exactly what the test writes, when it writes it.
pub struct Raw(TcpStream);

impl Raw {
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(stream)
    }

    /// Sends the head of a POST that announces a body, without the body.
    pub fn begin_post(address: &str, path: &str, length: usize) -> Self {
        let mut raw = Self::connect(address);
        raw.write(&format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
            *TOKEN
        ));
        raw
    }

    pub fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("the server reads");
    }

    /// Writes to a server that may have hung up already.
    pub fn try_write(&mut self, text: &str) -> bool {
        self.0.write_all(text.as_bytes()).is_ok()
    }

    /// The status line and the headers of the answer.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && self.0.read(&mut byte).expect("an answer in time") == 1 {
            head.push(byte[0]);
        }
        String::from_utf8(head).expect("a readable head")
    }

    /// A whole answer with a `Content-Length`.
    pub fn read_response(&mut self) -> String {
        let head = self.read_head();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        self.0.read_exact(&mut body).expect("the body");
        head + std::str::from_utf8(&body).expect("a readable body")
    }

    /// Everything until the server hangs up.
    pub fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

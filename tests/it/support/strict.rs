use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A strict client of HTTP/1.1. The request and RFC 9112, 6.3, decide where an answer ends. Anything that does not fit
/// is an error that shows what arrived.
pub struct Strict<S> {
    stream: S,
    unread: Vec<u8>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub version: String,
    pub status: u16,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

type Checked<T> = Result<T, String>;

enum Framing {
    None,
    Length(usize),
    Chunks,
    UntilTheEnd,
}

impl Strict<TcpStream> {
    pub fn connect(address: &str) -> Self {
        Self::over(tcp(address))
    }
}

/// A connection with timeouts in both directions, which sends each byte at once.
pub fn tcp(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl<S: Read + Write> Strict<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Writes to a server that may have hung up already.
    pub fn write(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
        let _ = self.stream.flush();
    }

    pub fn write_byte_by_byte(&mut self, text: &str) {
        for byte in text.as_bytes() {
            if self.stream.write_all(&[*byte]).and_then(|()| self.stream.flush()).is_err() {
                break;
            }
        }
    }

    /// The answer to a request with this method.
    pub fn answer_to(&mut self, method: &str) -> Checked<Whole> {
        let mut whole = self.head()?;
        whole.body = match framing(method, &whole)? {
            Framing::None => String::new(),
            Framing::Length(length) => self.text(length)?,
            Framing::Chunks => self.rest_of_chunks()?,
            Framing::UntilTheEnd => {
                while self.fill()? {}
                self.text(self.unread.len())?
            }
        };
        Ok(whole)
    }

    /// The head and the first chunk of an answer that does not end.
    pub fn beginning_of_answer(&mut self) -> Checked<Whole> {
        let mut whole = self.head()?;
        let Framing::Chunks = framing("GET", &whole)? else { return Err(format!("no chunks: {whole:?}")) };
        let chunk = self.chunk()?.ok_or_else(|| format!("it has ended: {whole:?}"))?;
        whole.body = String::from_utf8_lossy(&chunk).into_owned();
        Ok(whole)
    }

    /// The rest of a body in chunks. An error if it ends before its last chunk.
    pub fn rest_of_chunks(&mut self) -> Checked<String> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk()? {
            body.extend(chunk);
        }
        text_of(body)
    }

    /// Checks that the server closes the connection and sends nothing more.
    pub fn end(&mut self) -> Checked<()> {
        while self.fill()? {}
        if self.unread.is_empty() { Ok(()) } else { Err(format!("more than was asked for: {}", self.shown())) }
    }

    /// The next head. Skips interim responses (1xx).
    fn head(&mut self) -> Checked<Whole> {
        loop {
            let end = self.position(b"\r\n\r\n")?;
            let text = self.text(end + 4)?;
            let mut lines = text.trim_end().split("\r\n");
            let status_line = lines.next().unwrap_or_default();
            let (version, rest) = status_line.split_once(' ').ok_or_else(|| format!("no status: {text:?}"))?;
            let status = rest.get(..3).and_then(|digits| digits.parse::<u16>().ok());
            let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
                return Err(format!("not a status line: {text:?}"));
            };
            let header = |line: &str| {
                let (name, value) = line.split_once(':').ok_or_else(|| format!("not a header: {line:?}"))?;
                Ok((name.to_lowercase(), value.trim().to_owned()))
            };
            let headers = lines.map(header).collect::<Checked<Vec<_>>>()?;
            if status >= 200 {
                return Ok(Whole { version: version.to_owned(), status, headers, body: String::new() });
            }
        }
    }

    /// The next chunk, which may end within a character. `None` for the last one.
    fn chunk(&mut self) -> Checked<Option<Vec<u8>>> {
        let end = self.position(b"\r\n")?;
        let line = self.text(end + 2)?;
        let length =
            usize::from_str_radix(line.trim_end(), 16).map_err(|_| format!("not a chunk's length: {line:?}"))?;
        let chunk = self.bytes(length)?;
        let end = self.text(2)?;
        if end != "\r\n" {
            return Err(format!("not a chunk's end: {end:?}"));
        }
        Ok((length > 0).then_some(chunk))
    }

    /// The place of `wanted` in the unread bytes.
    fn position(&mut self, wanted: &[u8]) -> Checked<usize> {
        loop {
            if let Some(at) = self.unread.windows(wanted.len()).position(|window| window == wanted) {
                return Ok(at);
            }
            if !self.fill()? {
                return Err(format!(
                    "the end instead of {:?}, after {}",
                    String::from_utf8_lossy(wanted),
                    self.shown()
                ));
            }
        }
    }

    fn text(&mut self, length: usize) -> Checked<String> {
        text_of(self.bytes(length)?)
    }

    fn bytes(&mut self, length: usize) -> Checked<Vec<u8>> {
        while self.unread.len() < length {
            if !self.fill()? {
                return Err(format!("the end instead of {length} bytes, after {}", self.shown()));
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Reads more bytes. Returns false at the end.
    fn fill(&mut self) -> Checked<bool> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                Ok(length > 0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(format!("{error}, after {}", self.shown())),
        }
    }

    fn shown(&self) -> String {
        format!("{:?}", String::from_utf8_lossy(&self.unread[..self.unread.len().min(300)]))
    }
}

fn text_of(bytes: Vec<u8>) -> Checked<String> {
    String::from_utf8(bytes).map_err(|error| format!("not text: {error}"))
}

/// Decides how an answer's body is framed (RFC 9112, 6.3).
fn framing(method: &str, answer: &Whole) -> Checked<Framing> {
    let coding = answer.only("transfer-encoding")?;
    let length = answer.only("content-length")?;
    if coding.is_some() && (length.is_some() || answer.version != "HTTP/1.1") {
        return Err(format!("a forbidden transfer coding: {answer:?}"));
    }
    if method == "HEAD" || matches!(answer.status, 204 | 304) {
        return Ok(Framing::None);
    }
    match (coding, length) {
        (Some("chunked"), _) => Ok(Framing::Chunks),
        (Some(_), _) => Err(format!("an unknown coding: {answer:?}")),
        (None, Some(length)) => length.parse().map(Framing::Length).map_err(|_| format!("not a length: {answer:?}")),
        (None, None) => Ok(Framing::UntilTheEnd),
    }
}

impl Whole {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the connection closes after this answer (RFC 9112, 9.3).
    pub fn closes(&self) -> bool {
        let has = |option: &str| {
            let value = self.header("connection").unwrap_or_default();
            value.split(',').any(|given| given.trim().eq_ignore_ascii_case(option))
        };
        has("close") || (self.version == "HTTP/1.0" && !has("keep-alive"))
    }

    fn only(&self, name: &str) -> Checked<Option<&str>> {
        match self.headers.iter().filter(|(known, _)| known == name).count() {
            0 | 1 => Ok(self.header(name)),
            _ => Err(format!("{name} more than once: {self:?}")),
        }
    }
}

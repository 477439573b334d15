//! A fake service that sends the responses a test specifies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use user_service_client::{Builder, Client, Token};

pub struct Fake {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that the fake service received.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Includes the query.
    pub path: String,
    /// Keyed by lower-case name.
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Fake {
    /// Answers each request with what `answer` returns for its number and content, then closes the connection.
    pub async fn start(answer: impl Fn(usize, &Seen) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (recorded, answer) = (Arc::clone(&seen), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&recorded), Arc::clone(&answer)));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn builder(&self) -> Builder {
        Client::rest(self.url()).token(Token::fixed("token"))
    }

    pub fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve<A: Fn(usize, &Seen) -> String>(mut stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, answer: Arc<A>) {
    let Some(request) = read(&mut stream).await else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let _ = stream.write_all(answer(number, &request).as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (first.next()?, first.next()?);
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: HashMap<_, _> = lines.filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let is_chunked = headers.contains_key("transfer-encoding");
    // The last chunk is empty.
    while is_chunked && !bytes.ends_with(b"\r\n0\r\n\r\n") {
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let body = String::from_utf8(bytes[end..].to_vec()).unwrap();
    Some(Seen { method, path, headers, body: if is_chunked { unchunked(&body) } else { body } })
}

/// The content of a chunked body.
fn unchunked(body: &str) -> String {
    let (mut content, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        content.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").unwrap();
    }
    content
}

/// A response with a `content-length`.
pub fn answer<'a>(status: u16, headers: impl IntoIterator<Item = (&'a str, &'a str)>, body: &str) -> String {
    let headers = String::from_iter(headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    // A 204 has no body and no length.
    let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("HTTP/1.1 {status} Status\r\n{headers}{length}connection: close\r\n\r\n{body}")
}

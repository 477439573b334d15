//! One connection over HTTP/1.1, which carries one request after the other.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::LINK;
use hyper::{HeaderMap, Request, Response, StatusCode, body::Incoming};

use super::Target;
use crate::record::ServerTiming;

/// How much of a body is kept as an example of an error.
const EXAMPLE: usize = 400;
/// More than the service ever sends.
const LONGEST_BODY: usize = 16 << 20;

pub(crate) struct HttpConnection {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

pub(crate) struct Answer {
    pub status: StatusCode,
    /// Where the list goes on.
    pub next_page: Option<String>,
    pub timing: Option<ServerTiming>,
    /// The beginning of an error's body; of any other, if it was asked for, all of it.
    pub body: Vec<u8>,
}

impl HttpConnection {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, sender: None }
    }

    /// Connects, unless it is connected.
    pub(crate) async fn open(&mut self) -> Result<(), String> {
        self.ready().await.map(drop)
    }

    /// After a request that was given up, whose answer may still come.
    pub(crate) fn abandon(&mut self) {
        self.sender = None;
    }

    pub(crate) async fn call(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        self.exchange(request, false).await
    }

    /// As [`call`](Self::call), with the whole body.
    pub(crate) async fn fetch(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        self.exchange(request, true).await
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>, is_body_wanted: bool) -> Result<Answer, String> {
        let asks_for_timing = request.headers().contains_key("server-timing");
        let answer = match self.ready().await {
            Ok(sender) => match sender.send_request(request).await {
                Ok(response) => read(response, asks_for_timing, is_body_wanted).await,
                Err(error) => Err(chain(&error)),
            },
            Err(error) => Err(error),
        };
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    /// The connection, or a new one if the service has closed it: nothing was sent on that.
    async fn ready(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, String> {
        let is_usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !is_usable {
            let (sender, connection) = handshake(self.target.connect().await?).await.map_err(|error| chain(&error))?;
            // Its error is also the request's.
            tokio::task::spawn_local(async move { drop(connection.await) });
            self.sender = Some(sender);
        }
        self.sender.as_mut().ok_or_else(|| "no connection".to_owned())
    }
}

async fn read(response: Response<Incoming>, asks_for_timing: bool, is_body_wanted: bool) -> Result<Answer, String> {
    let (head, mut incoming) = response.into_parts();
    let kept = if is_body_wanted {
        LONGEST_BODY
    } else if head.status.is_success() {
        0
    } else {
        EXAMPLE
    };
    let (mut body, mut length) = (Vec::new(), 0);
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| chain(&error))?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        length += data.len();
        if length > LONGEST_BODY {
            return Err("the body is longer than 16 MiB".to_owned());
        }
        body.extend(data.iter().take(kept - body.len()));
    }
    let timing = asks_for_timing.then(|| {
        let header = head.headers.get("server-timing").and_then(|value| value.to_str().ok());
        ServerTiming::parse(header.unwrap_or_default())
    });
    Ok(Answer { status: head.status, next_page: next_page(&head.headers), timing, body })
}

/// `</api/v2/users?page_size=20&page_token=...>; rel="next"`
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (path, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then(|| path.to_owned())
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};

use super::token::TOKEN;

/// One HTTP/2 connection for any number of concurrent requests.
///
/// It leaves deadlines to the server. Tonic's channel enforces a call's deadline with its own timer, which sometimes
/// fires before the server's.
#[derive(Clone)]
pub struct Http2Client(SendRequest<Body>);

impl Http2Client {
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server accepts");
        let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection.map(drop));
        Self(requests)
    }

    /// Reads an answer to its end and returns its status.
    pub async fn get(&self, url: &str) -> hyper::Result<u16> {
        let request = Request::get(url).header("authorization", format!("Bearer {}", *TOKEN));
        let answer = self.0.clone().send_request(request.body(Body::empty()).expect("a request")).await?;
        let (status, mut body) = (answer.status().as_u16(), answer.into_body());
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            frame?;
        }
        Ok(status)
    }
}

impl Service<Request<Body>> for Http2Client {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, hyper::Result<Self::Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.send_request(request).boxed()
    }
}

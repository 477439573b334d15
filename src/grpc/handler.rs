use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{Request, Response};

/// Handles the calls of one service. A function, because the types of some services cannot be named.
pub(super) type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<Response<Body>, Infallible> + Send + Sync>;

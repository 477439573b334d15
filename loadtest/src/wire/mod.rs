//! How requests reach the service.

mod grpc;
mod http;
mod target;

pub(crate) use self::grpc::GrpcConnection;
pub(crate) use self::http::{Answer, HttpConnection};
pub(crate) use target::Target;

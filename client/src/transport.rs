//! The two protocols that a client can speak.

use crate::grpc::Grpc;
use crate::rest::Rest;

pub(crate) enum Transport {
    Rest(Rest),
    Grpc(Grpc),
}

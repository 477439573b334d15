//! A client for user-service.

mod grpc;

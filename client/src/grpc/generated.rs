//! What is made of proto/users/v1/users.proto, by tests/generated.rs.
#![allow(clippy::pedantic, unreachable_pub, reason = "nobody wrote this")]

include!("generated/users.v1.rs");

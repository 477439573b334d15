//! Code that tests/generated.rs generates from proto/users/v1/users.proto.
#![allow(clippy::pedantic, unreachable_pub, reason = "generated code")]

include!("generated/users.v1.rs");

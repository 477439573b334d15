//! What is made of proto/, by tests/generated.rs.

pub(super) mod users {
    #![allow(clippy::pedantic, unreachable_pub, reason = "nobody wrote this")]
    include!("generated/users.v1.rs");
}

pub(super) mod health {
    #![allow(clippy::pedantic, unreachable_pub, reason = "nobody wrote this")]
    include!("generated/grpc.health.v1.rs");
}

/// For reflection: the files that describe the services.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

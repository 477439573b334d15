//! Code that tests/generated.rs generates from proto/.

pub(super) mod users {
    #![allow(clippy::pedantic, unreachable_pub, reason = "generated code")]
    include!("generated/users.v1.rs");
}

pub(super) mod health {
    #![allow(clippy::pedantic, unreachable_pub, reason = "generated code")]
    include!("generated/grpc.health.v1.rs");
}

/// The descriptors of the services, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

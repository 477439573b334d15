use super::denied::Denied;

/// Why a request is not admitted. The texts are for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("this needs exactly one header Authorization: Bearer, with a token")]
    NoToken,
    #[error(transparent)]
    Denied(#[from] Denied),
    /// `retry_after` is in seconds.
    #[error("too many requests from this client; try again in {retry_after} s")]
    TooManyRequests { retry_after: u64 },
}

impl Refused {
    /// A stable name for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoToken => "unauthorized",
            Self::Denied(Denied::Scope(_)) => "insufficient_scope",
            Self::Denied(Denied::NoKeys) => "unavailable",
            Self::Denied(_) => "invalid_token",
            Self::TooManyRequests { .. } => "too_many_requests",
        }
    }
}

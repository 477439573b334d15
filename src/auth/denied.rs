use super::scope::Scope;

/// Why a token is rejected. The texts are for the client, and reveal nothing that it could not find out itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is not signed with the key of this service")]
    Signature,
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The token may be valid.
    #[error("the keys to check tokens with could not be fetched yet")]
    NoKeys,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token lacks a claim that it must have")]
    MissingClaim,
    /// The token is valid but does not permit this.
    #[error("the token lacks the scope {}", .0.as_str())]
    Scope(Scope),
}

impl Denied {
    /// A stable name of the reason, for programs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Signature => "signature",
            Self::UnknownKey => "unknown_key",
            Self::NoKeys => "no_keys",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::MissingClaim => "missing_claim",
            Self::Scope(_) => "insufficient_scope",
        }
    }

    /// Every reason. The missing scope makes no difference to it.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Signature,
        Self::UnknownKey,
        Self::NoKeys,
        Self::Expired,
        Self::NotYetValid,
        Self::Issuer,
        Self::Audience,
        Self::MissingClaim,
        Self::Scope(Scope::UsersRead),
    ];
}

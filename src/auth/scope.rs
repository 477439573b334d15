/// A permission of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    UsersRead,
    UsersWrite,
}

impl Scope {
    /// The name in the `scope` claim (RFC 8693, 4.2).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UsersRead => "users:read",
            Self::UsersWrite => "users:write",
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes {
    read: bool,
    write: bool,
}

impl Scopes {
    /// Parses a `scope` claim, a list of names separated by spaces. Ignores the scopes of other services.
    pub(super) fn parse(claim: &str) -> Self {
        let has = |scope: Scope| claim.split(' ').any(|name| name == scope.as_str());
        Self { read: has(Scope::UsersRead), write: has(Scope::UsersWrite) }
    }

    pub(super) const fn contain(self, scope: Scope) -> bool {
        match scope {
            Scope::UsersRead => self.read,
            Scope::UsersWrite => self.write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_separated_by_spaces() {
        let both = Scopes { read: true, write: true };
        assert_eq!(Scopes::parse("users:read users:write"), both);
        assert_eq!(Scopes::parse("openid users:write  users:read"), both);
        assert_eq!(Scopes::parse("users:read"), Scopes { read: true, write: false });
        for none in ["", "users", "users:*", "users:readwrite", "USERS:READ", "users:read,users:write", "xusers:read"] {
            assert_eq!(Scopes::parse(none), Scopes::default(), "{none:?}");
        }
    }
}

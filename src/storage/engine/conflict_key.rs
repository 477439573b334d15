//! What a write changes, as far as other writes may not change it at the same time.

/// A user, an address or an external id. Two writes that share a conflict key never run in the same statement.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum ConflictKey<'a> {
    User(i64),
    /// Any key of an address.
    Address(&'a str),
    /// An external id.
    ExternalId(&'a str),
}

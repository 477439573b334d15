/// What a write touches, of which no two may touch the same at once.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Touched<'a> {
    User(i64),
    /// By any of its keys.
    Address(&'a str),
}

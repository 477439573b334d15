/// What a change does to a value that a user need not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Assignment<T> {
    /// Leaves it as it is.
    #[default]
    Keep,
    Remove,
    Set(T),
}

impl<T> Assignment<T> {
    /// The value that it sets.
    pub const fn value(&self) -> Option<&T> {
        if let Self::Set(value) = self { Some(value) } else { None }
    }

    /// Whether it leaves the value as it is.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Converts the value that it sets.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Assignment<U> {
        match self {
            Self::Keep => Assignment::Keep,
            Self::Remove => Assignment::Remove,
            Self::Set(value) => Assignment::Set(convert(value)),
        }
    }

    /// Parses the value that it sets.
    ///
    /// # Errors
    /// That of `parse`.
    pub fn parse<U, E>(self, parse: impl FnOnce(T) -> Result<U, E>) -> Result<Assignment<U>, E> {
        Ok(match self {
            Self::Keep => Assignment::Keep,
            Self::Remove => Assignment::Remove,
            Self::Set(value) => Assignment::Set(parse(value)?),
        })
    }
}

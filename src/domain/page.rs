use super::characters::is_control;
use super::{EmailKey, Folded, User, UserId};

/// Which users a list holds; all of them when nothing is set.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The user with this address, whatever its case.
    pub email: Option<EmailKey>,
    /// Users whose name starts so, whatever its case; the list is then ordered by folded name and id.
    pub name_prefix: Option<NamePrefix>,
}

/// The start of a name, at most 100 characters; every character stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePrefix {
    key: Folded,
    legacy: Vec<Folded>,
}

impl NamePrefix {
    /// Parses and folds a prefix.
    ///
    /// # Errors
    /// A phrase for the caller when no name can start so.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(is_control) {
            return Err("must not contain control characters");
        }
        if text.chars().count() > super::UserName::MAX_CHARS {
            return Err("must have at most 100 characters");
        }
        Ok(Self { key: Folded::new(text), legacy: Folded::legacy_prefixes(text) })
    }

    /// The folded prefix.
    #[must_use]
    pub const fn key(&self) -> &Folded {
        &self.key
    }

    /// What else a key may start with, as long as there are some that an older release has made.
    #[must_use]
    pub fn legacy(&self) -> &[Folded] {
        &self.legacy
    }

    /// Whether the user's name starts so.
    #[must_use]
    pub fn matches(&self, user: &User) -> bool {
        user.name.key().as_str().starts_with(self.key.as_str())
    }
}

/// How many users a page holds: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u8);

impl PageSize {
    /// The size of a page that nobody sized.
    pub const DEFAULT: Self = Self(20);
    /// The largest page.
    pub const MAX: Self = Self(100);

    /// The size asked for, or the largest one if that is less; `None` for 0.
    #[must_use]
    pub fn at_most_max(size: u64) -> Option<Self> {
        (size > 0).then(|| Self(u8::try_from(size).unwrap_or(u8::MAX).min(Self::MAX.0)))
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// One page to read.
#[derive(Clone, Debug)]
pub struct PageQuery {
    pub start: Start,
    pub size: PageSize,
    /// Whether to count all users that the pages together hold.
    pub count: bool,
}

impl PageQuery {
    /// The same, where no keys are left that an older release has made.
    #[must_use]
    pub fn without_legacy_prefixes(mut self) -> Self {
        if let Start::ByName { prefix, .. } = &mut self.start {
            prefix.legacy.clear();
        }
        self
    }
}

/// Where a page starts, and with that, its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// By id, after that many users. Costs as much as the users it skips.
    Offset(i64),
    /// By id, after this one.
    AfterId(UserId),
    /// By folded name and id, within a prefix, after this position.
    ByName { prefix: NamePrefix, after: Option<(Folded, UserId)> },
}

/// The users of one page, in order.
#[derive(Clone, Debug)]
pub struct Page {
    pub users: Vec<User>,
    /// Whether users follow after these.
    pub more: bool,
    /// What the last of them is ordered by, where names order the list.
    pub last_name: Option<Folded>,
    /// The count, when it was asked for.
    pub total: Option<i64>,
}

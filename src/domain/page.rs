//! Lists of users: filters, pages and page queries.

use super::characters::is_control;
use super::{EmailKey, Folded, User, UserId};

/// Which users a list contains. Without a filter it contains all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The user with this address, whatever its case.
    pub email: Option<EmailKey>,
    /// Users whose name has this prefix, whatever its case. The list is then ordered by folded name and id.
    pub name_prefix: Option<NamePrefix>,
}

/// A prefix of names, at most 100 characters. Every character stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePrefix {
    key: Folded,
    legacy: Vec<Folded>,
}

impl NamePrefix {
    /// Parses and folds a prefix.
    ///
    /// # Errors
    /// A phrase for the caller, if no name can have this prefix.
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

    /// Other prefixes of keys, which earlier releases have made.
    #[must_use]
    pub fn legacy(&self) -> &[Folded] {
        &self.legacy
    }

    /// Whether the user's name has this prefix.
    #[must_use]
    pub fn matches(&self, user: &User) -> bool {
        user.name.key().as_str().starts_with(self.key.as_str())
    }
}

/// The number of users per page: 1 to 100, as a caller may ask for them, or [`EXPORT`](PageSize::EXPORT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// The size of a page if none is asked for.
    pub const DEFAULT: Self = Self(20);
    /// The largest page.
    pub const MAX: Self = Self(100);
    /// The size of the pages of which an export is made.
    pub const EXPORT: Self = Self(1000);

    /// The size asked for, but at most the largest. `None` for 0.
    #[must_use]
    pub fn at_most_max(size: u64) -> Option<Self> {
        (size > 0).then(|| Self(u16::try_from(size).unwrap_or(u16::MAX).min(Self::MAX.0)))
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// One page to read.
#[derive(Clone, Debug)]
pub struct PageQuery {
    pub start: Start,
    pub size: PageSize,
    /// Whether to count the users of all pages together.
    pub count: bool,
}

impl PageQuery {
    /// The same query without legacy prefixes, for a database without legacy keys.
    #[must_use]
    pub fn without_legacy_prefixes(mut self) -> Self {
        if let Start::ByName { prefix, .. } = &mut self.start {
            prefix.legacy.clear();
        }
        self
    }
}

/// Where a page starts, which also decides its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// By id, after so many users. Costs as much as the users it skips.
    Offset(i64),
    /// By id, after this one.
    AfterId(UserId),
    /// By folded name and id, within a prefix, after this position.
    ByName { prefix: NamePrefix, after: Option<(Folded, UserId)> },
}

impl Start {
    /// Whether the users of a page follow each other in one range of an index.
    #[must_use]
    pub fn is_one_range(&self) -> bool {
        !matches!(self, Self::ByName { prefix, .. } if !prefix.legacy().is_empty())
    }
}

/// The users of one page, in order.
#[derive(Clone, Debug)]
pub struct Page {
    pub users: Vec<User>,
    /// Whether more users follow.
    pub more: bool,
    /// The key of the last user, if the list is ordered by name.
    pub last_name: Option<Folded>,
    /// The count, if it was asked for.
    pub total: Option<i64>,
}

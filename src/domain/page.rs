//! Lists of users: filters, pages and page queries.

use super::characters::is_control;
use super::{AttributeFilter, EmailKey, ExternalId, Folded, Order, Status, User, UserId};

/// Which users a list contains. Without a filter it contains all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The user with this address, whatever its case.
    pub email: Option<EmailKey>,
    /// Users whose name has this prefix, whatever its case.
    pub name_prefix: Option<NamePrefix>,
    /// The user with this external id.
    pub external_id: Option<ExternalId>,
    /// Users with this status.
    pub status: Option<Status>,
    /// Users with all of these attributes.
    pub attributes: Vec<AttributeFilter>,
    /// The order that was asked for.
    pub order: Option<Order>,
}

impl Filter {
    /// Whether the list contains a user with the filter's email or external id.
    #[must_use]
    pub fn matches(&self, user: &User) -> bool {
        self.name_prefix.as_ref().is_none_or(|prefix| prefix.matches(user))
            && self.status.is_none_or(|status| status == user.status())
            && self.external_id.as_ref().is_none_or(|external_id| user.external_id() == Some(external_id))
            && self.attributes.iter().all(|attribute| attribute.matches(user))
    }

    /// Whether the users of the list can be counted. Of several attributes an index serves one; to look at the others of all
    /// whom it has would be a scan.
    ///
    /// # Errors
    /// A phrase for the caller.
    pub fn check_count(&self) -> Result<(), &'static str> {
        if self.attributes.len() < 2 { Ok(()) } else { Err("cannot be had for several attributes") }
    }

    /// The order of the list: without another one by id, or with a prefix by name.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order.unwrap_or(if self.name_prefix.is_some() { Order::BY_NAME } else { Order::default() })
    }
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
    pub filter: PageFilter,
    pub size: PageSize,
    /// Whether to count the users of all pages together.
    pub count: bool,
}

/// Which users a page may contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageFilter {
    pub name_prefix: Option<NamePrefix>,
    pub status: Option<Status>,
    pub attributes: Vec<AttributeFilter>,
}

impl PageQuery {
    /// A page of all users by id.
    #[must_use]
    pub fn of_all(start: Start, size: PageSize) -> Self {
        Self { start, filter: PageFilter::default(), size, count: false }
    }

    /// The same query without legacy prefixes, for a database without legacy keys.
    #[must_use]
    pub fn without_legacy_prefixes(mut self) -> Self {
        if let Some(prefix) = &mut self.filter.name_prefix {
            prefix.legacy.clear();
        }
        self
    }
}

/// Where a page starts, and its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// By id, after so many users. Costs as much as the users it skips.
    Offset(i64),
    /// In this order, after this user, or at the beginning.
    After { order: Order, last: Option<Last> },
}

/// The user after whom a page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    pub id: UserId,
    /// The key by which the list is ordered, unless that is the id.
    pub key: Option<String>,
}

impl Start {
    /// The first page of all users by id.
    pub const BEGINNING: Self = Self::After { order: Order { by: super::OrderBy::Id, descending: false }, last: None };

    /// The start of the page after this user, in the same order.
    #[must_use]
    pub fn after(&self, last: Last) -> Self {
        let order = if let Self::After { order, .. } = self { *order } else { Order::default() };
        Self::After { order, last: Some(last) }
    }
}

/// The users of one page, in order.
#[derive(Clone, Debug)]
pub struct Page {
    pub users: Vec<User>,
    /// After what the next page starts. `None` on the last page.
    ///
    /// A page may be short, or empty, and not be the last: a page examines a bounded number of users.
    pub next: Option<Last>,
    /// The count, if it was asked for.
    pub total: Option<i64>,
}

//! Options for listing users.

use std::collections::BTreeMap;

use futures_util::stream::BoxStream;

use crate::error::Failed;
use crate::user::{Status, User};

/// Which users to list. By default all of them. The order is by id; with a name prefix, it is by name and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListUsers {
    pub(crate) email: Option<String>,
    pub(crate) name_prefix: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) status: Option<Status>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) page_size: u8,
}

impl ListUsers {
    /// All users.
    #[must_use]
    pub const fn new() -> Self {
        // The maximum. Callers usually want all pages, so large pages save requests.
        Self {
            email: None,
            name_prefix: None,
            external_id: None,
            status: None,
            attributes: BTreeMap::new(),
            page_size: 100,
        }
    }

    /// Only the user with this email, compared as the service does: see [`User::email`](crate::User::email).
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Only users whose name starts with this prefix. Ignores case and the encoding of accents.
    #[must_use]
    pub fn name_prefix(mut self, name_prefix: impl Into<String>) -> Self {
        self.name_prefix = Some(name_prefix.into());
        self
    }

    /// Only the user with this external id, compared byte for byte.
    #[must_use]
    pub fn external_id(mut self, external_id: impl Into<String>) -> Self {
        self.external_id = Some(external_id.into());
        self
    }

    /// Only users with this status.
    #[must_use]
    pub const fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Only users who have this attribute: with this text, or with a number or a boolean that is written so. Of several
    /// attributes, users have all. The service filters by those that its operator chose (`ATTRIBUTES_INDEXED`), and refuses any other.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// The number of users per page: 1 to 100, 100 by default. Ask for fewer if you need only the first few.
    #[must_use]
    pub const fn page_size(mut self, page_size: u8) -> Self {
        self.page_size = page_size;
        self
    }
}

impl Default for ListUsers {
    fn default() -> Self {
        Self::new()
    }
}

/// A page of users, and the token of the next page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) users: Vec<User>,
    pub(crate) next_page_token: Option<String>,
}

/// Users as they come, up to the first failure.
pub(crate) type Users = BoxStream<'static, Result<User, Failed>>;

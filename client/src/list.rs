//! Lists of users.

use crate::user::User;

/// Which users to list. All of them, unless something else is said; by id, or with a name prefix by name and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListUsers {
    pub(crate) email: Option<String>,
    pub(crate) name_prefix: Option<String>,
    pub(crate) page_size: u8,
}

impl ListUsers {
    /// All users.
    #[must_use]
    pub const fn new() -> Self {
        // The most that the service gives at once: all pages are wanted, so the fewer the better.
        Self { email: None, name_prefix: None, page_size: 100 }
    }

    /// Only the user with this email, as the service compares addresses: see [`User::email`](crate::User::email).
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Only users whose name starts so, whatever its case and however accents are encoded.
    #[must_use]
    pub fn name_prefix(mut self, name_prefix: impl Into<String>) -> Self {
        self.name_prefix = Some(name_prefix.into());
        self
    }

    /// How many users to get at once: 1 to 100, which is the default. Whoever wants only the first few of many asks for no more.
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

/// Some users, and how to get those after them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) users: Vec<User>,
    pub(crate) next_page_token: Option<String>,
}

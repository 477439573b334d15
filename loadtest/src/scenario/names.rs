//! The names and addresses of the users that a run makes. They say whose they are, so that a run changes no others, and
//! can be cleaned up after even if it was killed.

use std::fmt;
use std::str::FromStr;

/// A run, by a number that no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names(u32);

impl Names {
    pub(crate) fn random() -> Self {
        Self(fastrand::u32(..))
    }

    /// For the random choices of a run.
    pub(crate) fn number(self) -> u64 {
        u64::from(self.0)
    }

    /// What all names of the run begin with, and no other user's name does.
    pub(crate) fn prefix(self) -> String {
        format!("Load test {self} ")
    }

    /// The address of a user, which stays as it is.
    pub(crate) fn email(self, number: impl fmt::Display) -> String {
        format!("load-{self}-{number}@example.com")
    }

    /// The body of a request that creates or updates this user.
    pub(crate) fn body(self, number: impl fmt::Display, word: impl fmt::Display) -> String {
        format!(r#"{{"name":"Load test {self} {word}","email":"load-{self}-{number}@example.com"}}"#)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for Names {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8);
        number.map(Self).ok_or_else(|| format!("{text:?} is no run: expected its 8 hexadecimal digits"))
    }
}

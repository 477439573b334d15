/// The order of a list. Users with equal keys are ordered by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub by: OrderBy,
    pub descending: bool,
}

/// By what a list is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderBy {
    /// The order in which users were created.
    #[default]
    Id,
    /// The folded name.
    Name,
    /// The legacy key of the address, which is unique.
    Email,
}

impl Order {
    /// By folded name.
    pub const BY_NAME: Self = Self { by: OrderBy::Name, descending: false };

    /// Parses `id`, `name` or `email`, with a `-` before it for the reverse.
    ///
    /// # Errors
    /// A phrase for the caller.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let by = match name {
            "id" => OrderBy::Id,
            "name" => OrderBy::Name,
            "email" => OrderBy::Email,
            _ => return Err("must be id, name or email, with a - before it for the reverse"),
        };
        Ok(Self { by, descending })
    }

    /// The order as it is parsed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match (self.by, self.descending) {
            (OrderBy::Id, false) => "id",
            (OrderBy::Id, true) => "-id",
            (OrderBy::Name, false) => "name",
            (OrderBy::Name, true) => "-name",
            (OrderBy::Email, false) => "email",
            (OrderBy::Email, true) => "-email",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_field_perhaps_reversed() {
        for text in ["id", "-id", "name", "-name", "email", "-email"] {
            assert_eq!(Order::parse(text).map(Order::as_str), Ok(text));
        }
        for text in ["", "-", "--id", "Name", "name,id", "version", "+id", " id"] {
            assert!(Order::parse(text).is_err(), "{text}");
        }
    }
}

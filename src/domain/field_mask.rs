//! Which fields of users an answer has.

use super::Attributes;

/// The fields of a user that a caller wants (AIP-157).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each field of a user is wanted or not")]
pub struct FieldMask {
    pub id: bool,
    pub name: bool,
    pub email: bool,
    pub version: bool,
    pub created_at: bool,
    pub updated_at: bool,
    pub external_id: bool,
    pub status: bool,
    attributes: AttributesMask,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum AttributesMask {
    /// The members with these names.
    Named(Vec<String>),
    All,
}

impl Default for AttributesMask {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl AttributesMask {
    fn add(&mut self, name: &str) -> Result<(), &'static str> {
        match self {
            Self::Named(names) if names.iter().any(|other| other == name) => {}
            // No user has more, and each is compared with each.
            Self::Named(names) if names.len() == Attributes::MAX_MEMBERS => {
                return Err("must name at most 64 attributes");
            }
            Self::Named(names) => names.push(name.to_owned()),
            Self::All => {}
        }
        Ok(())
    }
}

impl FieldMask {
    /// Parses the names of fields. `attributes.NAME` is one of the attributes.
    ///
    /// # Errors
    /// A phrase for the caller.
    pub fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, &'static str> {
        let mut mask = Self::default();
        for name in names {
            match name {
                "id" => mask.id = true,
                "name" => mask.name = true,
                "email" => mask.email = true,
                "version" => mask.version = true,
                "created_at" => mask.created_at = true,
                "updated_at" => mask.updated_at = true,
                "external_id" => mask.external_id = true,
                "status" => mask.status = true,
                "attributes" => mask.attributes = AttributesMask::All,
                other => {
                    let attribute = other.strip_prefix("attributes.").filter(|name| !name.is_empty());
                    let attribute = attribute.ok_or("must be names of a user's fields, or attributes.NAME")?;
                    mask.attributes.add(attribute)?;
                }
            }
        }
        Ok(mask)
    }

    /// The attributes that the caller wants of these.
    #[must_use]
    pub fn attributes(&self, attributes: &Attributes) -> Option<Attributes> {
        match &self.attributes {
            AttributesMask::All => Some(attributes.clone()),
            AttributesMask::Named(names) => attributes.only(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &str) -> Result<FieldMask, &'static str> {
        FieldMask::parse(names.split(','))
    }

    #[test]
    fn a_mask_is_names_of_fields() {
        let expected = FieldMask { id: true, status: true, ..FieldMask::default() };
        assert_eq!(parse("status,id,id"), Ok(expected));
        for other in ["", "id,", "Id", "etag", "attributes.", "attribute", "id name"] {
            assert!(parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn names_of_attributes_are_bounded() {
        let names = |count: usize| Vec::from_iter((0..count).map(|n| format!("attributes.a{n}"))).join(",");
        assert!(parse(&format!("{0},{0}", names(64))).is_ok());
        assert!(parse(&names(65)).is_err());
    }

    #[test]
    fn attributes_are_all_or_some() {
        let attributes = Attributes::stored(r#"{"a":1,"a.b":{"c":1.0},"d":2}"#.into()).unwrap();
        let shown = |names| parse(names).unwrap().attributes(&attributes).map(|shown| shown.as_str().to_owned());
        assert_eq!(shown("id"), None);
        assert_eq!(shown("attributes.x"), None);
        assert_eq!(shown("attributes.a.b,attributes.d").unwrap(), r#"{"a.b":{"c":1.0},"d":2}"#);
        assert_eq!(shown("attributes.a,attributes,attributes.d").as_deref(), Some(attributes.as_str()));
    }
}

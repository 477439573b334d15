use prost_types::FieldMask;

use super::failure::Failure;

/// The fields that an update sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UpdateMask {
    pub(super) name: bool,
    pub(super) email: bool,
}

impl UpdateMask {
    /// The fields that an update with this mask and these values sets.
    pub(super) fn of(mask: Option<&FieldMask>, name: &str, email: &str) -> Result<Self, Failure> {
        match mask {
            Some(mask) if !mask.paths.is_empty() => Self::parse(mask),
            // Some clients send an empty mask when they mean none.
            _ => Ok(Self { name: !name.is_empty(), email: !email.is_empty() }),
        }
    }

    fn parse(mask: &FieldMask) -> Result<Self, Failure> {
        let mut fields = Self::default();
        for path in &mask.paths {
            match path.as_str() {
                "name" => fields.name = true,
                "email" => fields.email = true,
                "*" => fields = Self { name: true, email: true },
                _ => {
                    return Err(Failure::InvalidField {
                        field: "update_mask".into(),
                        detail: "takes name, email and *",
                    });
                }
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(paths: &[&str]) -> Option<UpdateMask> {
        UpdateMask::parse(&FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }).ok()
    }

    #[test]
    fn a_mask_names_mutable_fields() {
        let fields = |name, email| Some(UpdateMask { name, email });
        assert_eq!(parse(&["name"]), fields(true, false));
        assert_eq!(parse(&["email", "email"]), fields(false, true));
        assert_eq!(parse(&["*"]), fields(true, true));
        for other in ["id", "version", "Name", "user.name", ""] {
            assert_eq!(parse(&["name", other]), None, "{other}");
        }
    }
}

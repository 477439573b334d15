use super::failure::Failure;
use super::generated::users::{UpdateUserRequest, UserStatus};

/// The fields that an update sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each field of a user is set or not")]
pub(super) struct UpdateMask {
    pub(super) name: bool,
    pub(super) email: bool,
    pub(super) external_id: bool,
    pub(super) status: bool,
    pub(super) attributes: bool,
    pub(super) attributes_patch: bool,
}

impl UpdateMask {
    /// The fields that a request sets: those that its mask names, or without a mask those that are not empty.
    pub(super) fn of(request: &UpdateUserRequest) -> Result<Self, Failure> {
        let filled = Self {
            name: !request.name.is_empty(),
            email: !request.email.is_empty(),
            external_id: request.external_id.is_some(),
            status: request.status != i32::from(UserStatus::Unspecified),
            attributes: !request.attributes.is_empty(),
            attributes_patch: !request.attributes_patch.is_empty(),
        };
        match &request.update_mask {
            Some(mask) if !mask.paths.is_empty() => filled.parse(&mask.paths),
            // Some clients send an empty mask when they mean none.
            _ => Ok(filled),
        }
    }

    /// The fields that these paths name. `*` names all, but of those that earlier releases did not have only the ones that
    /// are filled in: clients of these do not know them, and must not remove them.
    fn parse(self, paths: &[String]) -> Result<Self, Failure> {
        let mut fields = Self::default();
        for path in paths {
            match path.as_str() {
                "name" => fields.name = true,
                "email" => fields.email = true,
                "external_id" => fields.external_id = true,
                "status" => fields.status = true,
                "attributes" => fields.attributes = true,
                "attributes_patch" => fields.attributes_patch = true,
                "*" => {
                    fields = Self {
                        name: true,
                        email: true,
                        external_id: fields.external_id || self.external_id,
                        status: fields.status || self.status,
                        attributes: fields.attributes || self.attributes,
                        attributes_patch: fields.attributes_patch || self.attributes_patch,
                    }
                }
                _ => {
                    let detail = "takes name, email, external_id, status, attributes, attributes_patch and *";
                    return Err(Failure::InvalidField { field: "update_mask".into(), detail });
                }
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(filled: UpdateMask, paths: &[&str]) -> Option<UpdateMask> {
        filled.parse(&Vec::from_iter(paths.iter().map(|&path| path.to_owned()))).ok()
    }

    #[test]
    fn a_mask_names_mutable_fields() {
        let none = UpdateMask::default();
        let fields = |name, email| Some(UpdateMask { name, email, ..none });
        assert_eq!(parse(none, &["name"]), fields(true, false));
        assert_eq!(parse(none, &["email", "email"]), fields(false, true));
        assert_eq!(parse(none, &["attributes"]), Some(UpdateMask { attributes: true, ..none }));
        for other in ["id", "version", "Name", "user.name", "attributes.a", ""] {
            assert_eq!(parse(none, &["name", other]), None, "{other}");
        }
    }

    #[test]
    fn a_star_leaves_what_earlier_clients_do_not_know() {
        let both = UpdateMask { name: true, email: true, ..UpdateMask::default() };
        assert_eq!(parse(UpdateMask::default(), &["*"]), Some(both));
        let filled = UpdateMask { status: true, attributes: true, ..UpdateMask::default() };
        assert_eq!(parse(filled, &["*"]), Some(UpdateMask { status: true, attributes: true, ..both }));
        assert_eq!(
            parse(filled, &["external_id", "*"]),
            Some(UpdateMask { external_id: true, status: true, attributes: true, ..both })
        );
    }
}

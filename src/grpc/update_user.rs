use prost_types::FieldMask;

use super::etag;
use super::failure::Failure;
use super::generated::users::{UpdateUserRequest, UpdateUserResponse};
use super::user::user_id;
use crate::service;
use crate::storage::Storage;

pub(super) async fn update_user(storage: &Storage, request: UpdateUserRequest) -> Result<UpdateUserResponse, Failure> {
    let UpdateUserRequest { id, name, email, update_mask, etag } = request;
    let id = user_id("id", id)?;
    let expected = etag::expected(&etag)?;
    let Wanted { name: sets_name, email: sets_email } = match update_mask {
        Some(mask) if !mask.paths.is_empty() => Wanted::by_mask(&mask)?,
        // A mask of nothing is what some send who have none.
        _ => Wanted { name: !name.is_empty(), email: !email.is_empty() },
    };
    let (name, email) = (sets_name.then_some(name), sets_email.then_some(email));
    let user = service::update_user(storage, id, expected, name, email).await?;
    Ok(UpdateUserResponse { user: Some(user.into()) })
}

/// Which fields are to be set.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    name: bool,
    email: bool,
}

impl Wanted {
    fn by_mask(mask: &FieldMask) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        for path in &mask.paths {
            match path.as_str() {
                "name" => wanted.name = true,
                "email" => wanted.email = true,
                "*" => wanted = Self { name: true, email: true },
                _ => return Err(Failure::InvalidField { field: "update_mask", detail: "takes name, email and *" }),
            }
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_mask(paths: &[&str]) -> Option<Wanted> {
        Wanted::by_mask(&FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }).ok()
    }

    #[test]
    fn a_mask_names_fields_that_can_be_set() {
        let wanted = |name, email| Some(Wanted { name, email });
        assert_eq!(by_mask(&["name"]), wanted(true, false));
        assert_eq!(by_mask(&["email", "email"]), wanted(false, true));
        assert_eq!(by_mask(&["*"]), wanted(true, true));
        for other in ["id", "version", "Name", "user.name", ""] {
            assert_eq!(by_mask(&["name", other]), None, "{other}");
        }
    }
}

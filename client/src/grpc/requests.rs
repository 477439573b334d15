//! The requests that change users.

use prost_types::FieldMask;
use serde_json::{Map, Value};

use super::convert::status;
use super::generated::{CreateUserRequest, DeleteUserRequest, UpdateUserRequest};
use crate::fields::{Assign, UserFields, UserPatch};
use crate::user::{Etag, Status};

pub(super) fn create(
    UserFields { name, email, external_id, status: wanted, attributes }: UserFields,
) -> CreateUserRequest {
    CreateUserRequest {
        name,
        email,
        external_id,
        status: status(wanted).into(),
        attributes: attributes.map(text).unwrap_or_default(),
    }
}

pub(super) fn update(id: i64, changes: Changes, etag: Option<&Etag>) -> UpdateUserRequest {
    let paths = changes.paths();
    let Changes { name, email, external_id, status: wanted, attributes } = changes;
    let (attributes, attributes_patch) = match attributes {
        Some(Attributes::Replace(all)) => (all.map(text).unwrap_or_default(), String::new()),
        Some(Attributes::Merge(patch)) => (String::new(), patch.to_string()),
        None => Default::default(),
    };
    UpdateUserRequest {
        id,
        name: name.unwrap_or_default(),
        email: email.unwrap_or_default(),
        update_mask: Some(FieldMask { paths }),
        etag: of_etag(etag),
        external_id: match external_id {
            Some(Assign::Set(external_id)) => Some(external_id),
            Some(Assign::Remove) | None => None,
        },
        status: status(wanted).into(),
        attributes,
        attributes_patch,
    }
}

pub(super) fn delete(id: i64, etag: Option<&Etag>) -> DeleteUserRequest {
    DeleteUserRequest { id, etag: of_etag(etag) }
}

/// The changes of an update. Those that are `None` are not in its mask.
pub(super) struct Changes {
    name: Option<String>,
    email: Option<String>,
    external_id: Option<Assign<String>>,
    status: Option<Status>,
    attributes: Option<Attributes>,
}

/// What becomes of the attributes.
enum Attributes {
    /// They become these, or are all removed.
    Replace(Option<Map<String, Value>>),
    /// This patch is merged into them.
    Merge(Value),
}

impl Changes {
    /// The mask: the fields to set. A field that it names and that is empty is removed.
    fn paths(&self) -> Vec<String> {
        let attributes = match self.attributes {
            Some(Attributes::Merge(_)) => "attributes_patch",
            Some(Attributes::Replace(_)) | None => "attributes",
        };
        let fields = [
            ("name", self.name.is_some()),
            ("email", self.email.is_some()),
            ("external_id", self.external_id.is_some()),
            ("status", self.status.is_some()),
            (attributes, self.attributes.is_some()),
        ];
        fields.into_iter().filter(|(_, is_given)| *is_given).map(|(field, _)| field.to_owned()).collect()
    }
}

impl From<UserFields> for Changes {
    fn from(UserFields { name, email, external_id, status, attributes }: UserFields) -> Self {
        Self {
            name: Some(name),
            email: Some(email),
            external_id: external_id.map(Assign::Set),
            status,
            attributes: attributes.map(|all| Attributes::Replace(Some(all))),
        }
    }
}

impl From<UserPatch> for Changes {
    fn from(UserPatch { name, email, external_id, status, attributes }: UserPatch) -> Self {
        let attributes = attributes.map(|patch| match patch {
            Value::Null => Attributes::Replace(None),
            patch => Attributes::Merge(patch),
        });
        Self { name, email, external_id, status, attributes }
    }
}

fn text(attributes: Map<String, Value>) -> String {
    Value::Object(attributes).to_string()
}

fn of_etag(etag: Option<&Etag>) -> String {
    etag.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::generated::UserStatus;
    use super::*;

    fn paths(request: &UpdateUserRequest) -> Vec<&str> {
        request.update_mask.iter().flat_map(|mask| &mask.paths).map(String::as_str).collect()
    }

    #[test]
    fn an_update_names_what_it_sets() {
        let john = UserFields::new("John", "john@example.com");
        assert_eq!(paths(&update(1, john.clone().into(), None)), ["name", "email"]);
        let all = update(1, john.external_id("hr-1").status(Status::Active).attribute("a", 1).into(), None);
        assert_eq!(paths(&all), ["name", "email", "external_id", "status", "attributes"]);
        assert_eq!((all.attributes.as_str(), all.attributes_patch.as_str()), (r#"{"a":1}"#, ""));
        assert_eq!((all.external_id.as_deref(), all.status()), (Some("hr-1"), UserStatus::Active));
    }

    #[test]
    fn a_patch_merges_and_removes() {
        let merged = update(1, UserPatch::default().attributes(json!({ "a": null })).into(), None);
        assert_eq!(paths(&merged), ["attributes_patch"]);
        assert_eq!((merged.attributes.as_str(), merged.attributes_patch.as_str()), ("", r#"{"a":null}"#));
        let removed = update(1, UserPatch::default().remove_external_id().remove_attributes().into(), None);
        assert_eq!(paths(&removed), ["external_id", "attributes"]);
        assert_eq!((&removed.external_id, removed.attributes.as_str()), (&None, ""));
        assert!(paths(&update(1, UserPatch::default().into(), None)).is_empty());
    }
}

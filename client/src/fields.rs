//! What the caller sets of a user.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::user::Status;

/// The fields of a user that the caller sets. In an update, those that are `None` stay unchanged.
///
/// ```
/// use serde_json::json;
/// use user_service_client::UserFields;
///
/// let ada = UserFields::new("Ada", "ada@example.com").external_id("hr-1815").attribute("department", json!("Sales"));
/// assert_eq!(json!(ada)["attributes"], json!({ "department": "Sales" }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UserFields {
    /// 1 to 100 characters after trimming, no control characters.
    pub name: String,
    /// At most 254 bytes; unique, see [`User::email`](crate::User::email).
    pub email: String,
    /// 1 to 255 characters, unique, no control characters; see [`User::external_id`](crate::User::external_id).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether the user is switched on. A new user is, unless this says something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// At most 8 KiB without white space, 64 members and 4 levels. An update replaces all attributes that the user has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
}

impl UserFields {
    /// Does not validate the fields; the service does.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Self {
        Self { name: name.into(), email: email.into(), external_id: None, status: None, attributes: None }
    }

    /// Sets the external id.
    #[must_use]
    pub fn external_id(mut self, external_id: impl Into<String>) -> Self {
        self.external_id = Some(external_id.into());
        self
    }

    /// Sets the status.
    #[must_use]
    pub const fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets all attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: Map<String, Value>) -> Self {
        self.attributes = Some(attributes);
        self
    }

    /// Sets one attribute, beside those that are set already.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.get_or_insert_default().insert(name.into(), value.into());
        self
    }
}

/// A partial update of a user. Fields that are `None` stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UserPatch {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new email.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The new external id, or that the user has none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Assign<String>>,
    /// The new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// A merge patch (RFC 7396) of the attributes: an object, whose members that are null are removed at any depth, or
    /// null, which removes all attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Value>,
}

/// What becomes of a field that a user need not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Assign<T> {
    /// The field gets this value.
    Set(T),
    /// The field is removed.
    Remove,
}

impl UserPatch {
    /// Sets the new name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the new email.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Sets the new external id.
    #[must_use]
    pub fn external_id(mut self, external_id: impl Into<String>) -> Self {
        self.external_id = Some(Assign::Set(external_id.into()));
        self
    }

    /// Removes the external id.
    #[must_use]
    pub fn remove_external_id(mut self) -> Self {
        self.external_id = Some(Assign::Remove);
        self
    }

    /// Sets the new status.
    #[must_use]
    pub const fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Merges this object into the attributes; its members that are null are removed.
    ///
    /// ```
    /// use serde_json::json;
    /// use user_service_client::UserPatch;
    ///
    /// let moved = UserPatch::default().attributes(json!({ "address": { "city": "Rome", "zip": null } }));
    /// assert_eq!(json!(moved), json!({ "attributes": { "address": { "city": "Rome", "zip": null } } }));
    /// ```
    #[must_use]
    pub fn attributes(mut self, patch: Value) -> Self {
        self.attributes = Some(patch);
        self
    }

    /// Removes all attributes.
    #[must_use]
    pub fn remove_attributes(self) -> Self {
        self.attributes(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_set_is_not_sent() {
        let john = UserFields::new("John", "john@example.com");
        assert_eq!(json!(john), json!({ "name": "John", "email": "john@example.com" }));
        let active = john.status(Status::Active).attributes(Map::new());
        assert_eq!(
            json!(active),
            json!({ "name": "John", "email": "john@example.com", "status": "active", "attributes": {} })
        );
        assert_eq!(json!(UserPatch::default()), json!({}));
    }

    #[test]
    fn null_removes() {
        let set = UserPatch::default().external_id("hr-1").status(Status::Disabled);
        assert_eq!(json!(set), json!({ "external_id": "hr-1", "status": "disabled" }));
        let removed = set.remove_external_id().remove_attributes();
        assert_eq!(json!(removed), json!({ "external_id": null, "status": "disabled", "attributes": null }));
    }
}

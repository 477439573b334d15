//! Each write that gives a user a name gives the same to an attribute, and each answer and event is held to that: no user
//! is ever seen half changed, and no merge goes by attributes that another write has replaced.

use serde_json::{Value, json};

/// The attributes that go with a name.
pub fn of(name: &str) -> Value {
    json!({ "name": name })
}

/// Whether a user with this name has the attributes that go with it.
pub fn belong_to(name: &str, attributes: &Value) -> bool {
    *attributes == of(name)
}

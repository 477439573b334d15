//! The arguments of the calls in the contract.

use serde_json::{Value, json};
use user_service_client::{Etag, OnConflict, Operation, Status, User, UserFields, UserPatch};

pub fn fields(arguments: &Value) -> UserFields {
    let text = |name: &str| arguments[name].as_str();
    let mut fields = UserFields::new(text("name").unwrap_or_default(), text("email").unwrap_or_default());
    fields.external_id = text("external_id").map(str::to_owned);
    fields.status = status(arguments);
    fields.attributes = arguments["attributes"].as_object().cloned();
    fields
}

/// What is null is removed.
pub fn patch(arguments: &Value) -> UserPatch {
    let mut patch = UserPatch::default();
    patch.name = arguments["name"].as_str().map(str::to_owned);
    patch.status = status(arguments);
    patch.attributes = arguments.get("attributes").cloned();
    match arguments.get("external_id") {
        None => patch,
        Some(Value::Null) => patch.remove_external_id(),
        Some(external_id) => patch.external_id(external_id.as_str().unwrap()),
    }
}

fn status(arguments: &Value) -> Option<Status> {
    arguments.get("status").map(|status| serde_json::from_value(status.clone()).unwrap())
}

pub fn operations(arguments: &Value) -> Vec<Operation> {
    arguments["operations"].as_array().unwrap().iter().map(operation).collect()
}

fn operation(operation: &Value) -> Operation {
    let (kind, arguments) = operation.as_object().unwrap().iter().next().expect("an operation");
    let id = arguments["id"].as_i64().unwrap_or_default();
    match kind.as_str() {
        "create" => Operation::create(fields(arguments)),
        "update" => Operation::update(id, patch(&arguments["patch"]), etag(arguments).as_ref()),
        "delete" => Operation::delete(id, etag(arguments).as_ref()),
        other => panic!("{other} is no operation"),
    }
}

/// The etag of a user with the version in the arguments.
pub fn etag(arguments: &Value) -> Option<Etag> {
    let version = arguments["version"].as_i64()?;
    let user = json!({ "id": 1, "name": "", "email": "", "version": version,
        "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z" });
    Some(serde_json::from_value::<User>(user).unwrap().etag())
}

pub fn on_conflict(arguments: &Value) -> OnConflict {
    serde_json::from_value(arguments["on_conflict"].clone()).unwrap()
}

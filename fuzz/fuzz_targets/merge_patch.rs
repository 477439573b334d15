//! Any bytes as the body of a merge patch.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use user_service::domain::{Email, NewUser, UserName};
use user_service::fuzzing;
use user_service_fuzz::{check_email, check_name, read};

fuzz_target!(|bytes: &[u8]| {
    let Some((changes, patch)) = read(bytes, fuzzing::changes) else { return };
    assert_eq!((changes.name.is_some(), changes.email.is_some()), (has(&patch, "name"), has(&patch, "email")));
    if let Some(name) = &changes.name {
        check_name(name, &patch["name"]);
    }
    if let Some(email) = &changes.email {
        check_email(email, &patch["email"]);
    }

    let mut own = Map::new();
    own.extend(changes.name.as_ref().map(|name| ("name".to_owned(), name.as_str().into())));
    own.extend(changes.email.as_ref().map(|email| ("email".to_owned(), email.as_str().into())));
    assert_eq!(fuzzing::changes(&bytes_of(&own)).as_ref(), Ok(&changes));
    for field in ["name", "email", "id"] {
        let mut other = own.clone();
        other.insert(field.to_owned(), Value::Null);
        assert!(fuzzing::changes(&bytes_of(&other)).is_err(), "{other:?}");
    }

    // A patch is also a valid create if and only if it has all fields.
    let whole = changes.name.zip(changes.email).map(|(name, email): (UserName, Email)| NewUser { name, email });
    assert_eq!(fuzzing::new_user(bytes).ok(), whole);
});

fn has(patch: &Value, field: &str) -> bool {
    patch.get(field).is_some()
}

fn bytes_of(fields: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(fields).expect("a map of texts is JSON")
}

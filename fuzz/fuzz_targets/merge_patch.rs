//! Any bytes as the body of a merge patch.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use user_service::domain::{Changes, NewUser};
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
    let plain = Changes { profile: None, ..changes.clone() };
    assert_eq!(fuzzing::changes(&bytes_of(&own)), Ok(plain));
    let has_profile = ["external_id", "status", "attributes"].iter().any(|field| has(&patch, field));
    assert_eq!(changes.profile.is_some(), has_profile);
    for field in ["name", "email", "status", "id"] {
        let mut other = own.clone();
        other.insert(field.to_owned(), Value::Null);
        assert!(fuzzing::changes(&bytes_of(&other)).is_err(), "{other:?}");
    }

    // A patch is also a valid create if and only if it has all fields.
    let new = fuzzing::new_user(bytes).ok();
    let whole = new.map(|NewUser { name, email, .. }| (name, email));
    // As a patch, attributes may be longer than what they become.
    assert!(whole == changes.name.zip(changes.email) || has(&patch, "attributes"));
});

fn has(patch: &Value, field: &str) -> bool {
    patch.get(field).is_some()
}

fn bytes_of(fields: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(fields).expect("a map of texts is JSON")
}

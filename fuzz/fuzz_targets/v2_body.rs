//! Any bytes as the body of a create.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use user_service::domain::{Changes, NewUser};
use user_service::fuzzing;
use user_service_fuzz::{check_email, check_name, check_profile, read};

fuzz_target!(|bytes: &[u8]| {
    let Some((user, body)) = read(bytes, fuzzing::new_user) else { return };
    check_name(&user.name, &body["name"]);
    check_email(&user.email, &body["email"]);

    let profile = user.profile.as_deref().cloned().unwrap_or_default();
    check_profile(&profile, &body);

    let own = json!({"name": user.name.as_str(), "email": user.email.as_str()});
    let plain = NewUser { profile: None, ..user.clone() };
    assert_eq!(fuzzing::new_user(own.to_string().as_bytes()).as_ref(), Ok(&plain));

    let list = json!([own["name"], own["email"]]);
    let nameless = json!({"email": own["email"]});
    let more = json!({"name": own["name"], "email": own["email"], "id": 1});
    for other in [list, nameless, more] {
        assert!(fuzzing::new_user(other.to_string().as_bytes()).is_err(), "{other}");
    }

    // A valid create is also a patch.
    let Changes { name, email, profile: change } = fuzzing::changes(bytes).expect("a patch");
    assert_eq!((name.as_ref(), email.as_ref()), (Some(&user.name), Some(&user.email)));
    // Of a user without a profile it makes the same, but for members of objects that are null.
    let has_null = body["attributes"].to_string().contains("null");
    let patched = change.map_or(Ok(None), |change| change.apply(None));
    assert!(has_null || patched == Ok(user.profile));
});

//! Any bytes as the body of a create.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use user_service::domain::{Changes, NewUser};
use user_service::fuzzing;
use user_service_fuzz::{check_email, check_name, read};

fuzz_target!(|bytes: &[u8]| {
    let Some((user, body)) = read(bytes, fuzzing::new_user) else { return };
    check_name(&user.name, &body["name"]);
    check_email(&user.email, &body["email"]);

    let own = json!({"name": user.name.as_str(), "email": user.email.as_str()});
    assert_eq!(fuzzing::new_user(own.to_string().as_bytes()).as_ref(), Ok(&user));

    let list = json!([own["name"], own["email"]]);
    let nameless = json!({"email": own["email"]});
    let more = json!({"name": own["name"], "email": own["email"], "id": 1});
    for other in [list, nameless, more] {
        assert!(fuzzing::new_user(other.to_string().as_bytes()).is_err(), "{other}");
    }

    // A valid create is also a patch.
    let NewUser { name, email } = user;
    assert_eq!(fuzzing::changes(bytes), Ok(Changes { name: Some(name), email: Some(email) }));
});

//! What the targets share: checks of what must be true of every body and its fields.

use std::fmt::Debug;

use serde_json::Value;
use user_service::domain::{
    Attributes, AttributesPatch, Email, ExternalId, FieldError, Folded, NamePrefix, Profile, UserName,
};

/// Parses a body and checks the result against the JSON of the same bytes. `None` if the body is rejected.
///
/// # Panics
/// When the two disagree.
pub fn read<T: Debug + PartialEq>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<T, Vec<FieldError>>,
) -> Option<(T, Value)> {
    let result = read(bytes);
    let Ok(json) = serde_json::from_slice::<Value>(bytes) else {
        assert_eq!(result, Err(Vec::new()), "a body that is not JSON has no field errors");
        return None;
    };
    // The same value without insignificant differences: white space, escapes and repeated fields. The numbers of attributes
    // would become others, and a name that occurs twice there is wrong.
    let is_same = json.get("attributes").is_none();
    let again = read(json.to_string().as_bytes());
    match result {
        Ok(read) => {
            assert!(!is_same || again.as_ref() == Ok(&read));
            let fields = json.as_object().expect("only an object is a user");
            for (name, value) in fields {
                match name.as_str() {
                    "name" | "email" | "status" => assert!(value.is_string(), "{name}"),
                    "external_id" => assert!(value.is_string() || value.is_null()),
                    "attributes" => assert!(value.is_object() || value.is_null()),
                    _ => panic!("an unknown field"),
                }
            }
            Some((read, json))
        }
        Err(complaints) if complaints.is_empty() => {
            assert!(!is_same || again.is_ok(), "rejected without a reason: {again:?}");
            None
        }
        Err(complaints) => {
            assert!(!is_same || again.as_ref() == Err(&complaints));
            check_complaints(&complaints, &json);
            None
        }
    }
}

/// Checks that each reported field is in the body, or is missing from it.
fn check_complaints(complaints: &[FieldError], json: &Value) {
    assert!(complaints.len() <= 20);
    for complaint in complaints {
        match (&complaint.field, json.as_object()) {
            (None, None) => {}
            (Some(field), Some(fields)) => {
                assert!(fields.contains_key(field) || complaint.detail == "is required", "{complaint}");
            }
            _ => panic!("{complaint}"),
        }
    }
}

/// Checks an accepted profile against the body it came from.
///
/// # Panics
/// When the service should have rejected it, or stores it otherwise than it shows it.
pub fn check_profile(profile: &Profile, body: &Value) {
    let external_id = profile.external_id.as_ref().map(ExternalId::as_str);
    assert_eq!(external_id, body["external_id"].as_str());
    assert!(external_id.is_none_or(|id| (1..=255).contains(&id.chars().count()) && !id.contains(char::is_control)));
    assert_eq!(profile.status.as_str(), body["status"].as_str().unwrap_or("active"));
    let Some(attributes) = &profile.attributes else { return };
    let text = attributes.as_str();
    assert!(text.len() <= Attributes::MAX_BYTES && !text.contains('\0') && !text.contains("\\u0000"));
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), body["attributes"], "the same, but for its form");
    assert_eq!(Attributes::parse(text), Ok(Some(attributes.clone())), "the form is canonical");
    assert_eq!(Attributes::stored(text.to_owned()).as_ref(), Some(attributes));
    let patch = AttributesPatch::parse("{}").expect("an empty patch");
    assert_eq!(patch.apply(Some(attributes)), Ok(Some(attributes.clone())), "an empty patch changes nothing");
}

/// Checks an accepted name against the value it came from.
///
/// # Panics
/// When the service should have rejected it.
pub fn check_name(name: &UserName, given: &Value) {
    let text = name.as_str();
    assert_eq!(Some(text), given.as_str().map(str::trim));
    assert!((1..=100).contains(&text.chars().count()));
    assert!(!text.contains(char::is_control));
    assert_eq!(UserName::parse(text.to_owned()).as_ref(), Ok(name));
    let key = name.key();
    assert_eq!(Folded::new(key.as_str()), key, "folding is idempotent");
    // A character beyond ASCII may be an accent of the one before it.
    for (end, _) in text.char_indices().filter(|(_, char)| char.is_ascii()) {
        let prefix = NamePrefix::parse(&text[..end]).expect("a part of a valid name");
        assert!(key.as_str().starts_with(prefix.key().as_str()), "{prefix:?} does not find {name:?}");
    }
}

/// Checks an accepted address against the value it came from.
///
/// # Panics
/// When the service should have rejected it.
pub fn check_email(email: &Email, given: &Value) {
    let text = email.as_str();
    assert_eq!(Some(text), given.as_str());
    assert!(text.len() <= 254);
    assert!(!text.contains(char::is_control));
    let (mailbox, domain) = text.rsplit_once('@').expect("an address has an @");
    assert!(!mailbox.is_empty() && !domain.is_empty());
    assert!(!domain.contains(|char: char| char.is_whitespace() || "<>[]()\"\\,;:".contains(char)), "{domain}");
    assert_eq!(Email::parse(text.to_owned()).as_ref(), Ok(email));
    let key = email.key();
    let key_of = |text: &str| Email::stored(text.to_owned()).key().into_string();
    assert_eq!(key_of(key.as_str()), key.as_str(), "the key of a key is the same key");
    assert_eq!(key_of(&text.to_ascii_uppercase()), key.as_str(), "the case does not change the key");
}

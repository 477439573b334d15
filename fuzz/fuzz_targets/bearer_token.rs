//! Any text as a bearer token. Because random text never has a valid signature, also any header and claims in a signed
//! token.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;
use user_service::auth::{KeySource, Scope, Settings, Verifier};
use user_service::metrics::Metrics;

const SECRET: &str = "the secret of all fuzzed services";
const ANOTHER: &str = "the secret of some other services";
const ISSUER: &str = "issuer";
const AUDIENCE: &str = "users";
/// The header for an input without one.
const HEADER: &[u8] = br#"{"alg":"HS256"}"#;

/// Accepts every token that is signed with the secret.
static OPEN: LazyLock<Verifier> = LazyLock::new(|| verifier(None, None));
/// Accepts only tokens of one issuer, for one audience.
static STRICT: LazyLock<Verifier> = LazyLock::new(|| verifier(Some(ISSUER), Some(AUDIENCE)));

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = str::from_utf8(bytes) {
        check_unknown(text);
    }
    // A line break separates the header from the claims. Headers with line breaks in their JSON are not tested.
    let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
    let (header, claims) = match (parts.next(), parts.next()) {
        (Some(header), Some(claims)) => (header, claims),
        _ => (HEADER, bytes),
    };
    check_unknown(&signed(header, claims, ANOTHER));

    let token = signed(header, claims, SECRET);
    for scope in [Scope::UsersRead, Scope::UsersWrite] {
        let is_authorized_by =
            |verifier: &Verifier| verifier.authenticate(&token).is_ok_and(|bearer| bearer.authorize(scope).is_ok());
        let authorized = is_authorized_by(&OPEN);
        assert!(!authorized || entitles(header, claims, scope), "authorized for {scope:?}");
        assert!(authorized || header != HEADER || !plainly_entitles(claims, scope), "not authorized for {scope:?}");
        if authorized {
            assert!(!has(claims, "aud"), "a verifier without an audience accepts no token with one");
            // The token is in the cache by now, and no similar token may be.
            check_unknown(&format!("{token}A"));
            check_unknown(&token[..token.len() - 1]);
        }
        if is_authorized_by(&STRICT) {
            assert!(entitles(header, claims, scope), "authorized for {scope:?}");
            assert!(names(claims, "iss", ISSUER) && names(claims, "aud", AUDIENCE));
        }
    }
});

fn verifier(issuer: Option<&str>, audience: Option<&str>) -> Verifier {
    let [issuer, audience] = [issuer, audience].map(|name| name.map(str::to_owned));
    let (key, leeway) = (KeySource::Secret(SECRET.into()), Duration::ZERO);
    let settings = Settings { key, issuer, audience, leeway, rate_limit: None };
    let metrics = Metrics::new("sqlite").expect("metrics");
    Verifier::new(&settings, metrics.jwks_refreshes()).expect("a secret is a key")
}

/// Checks that a token without a signature by the secret is rejected.
fn check_unknown(token: &str) {
    for verifier in [&OPEN, &STRICT] {
        assert!(verifier.authenticate(token).is_err(), "{token}");
    }
}

fn signed(header: &[u8], claims: &[u8], secret: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("HS256 signs anything");
    format!("{message}.{signature}")
}

/// Whether a signed token may give this scope: a necessary condition.
fn entitles(header: &[u8], claims: &[u8], scope: Scope) -> bool {
    let (Some(header), Some(claims)) = (object(header), object(claims)) else { return false };
    let now = now();
    header.get("alg").is_some_and(|alg| alg == "HS256")
        && !header.contains_key("crit")
        && claims.get("exp").and_then(Value::as_f64).is_some_and(|exp| exp > now - 1.0)
        && claims.get("nbf").is_none_or(|nbf| nbf.as_f64().is_some_and(|nbf| nbf < now + 1.0))
        && claims.get("sub").and_then(Value::as_str).is_some_and(|sub| !sub.is_empty())
        && claims
            .get("scope")
            .and_then(Value::as_str)
            .is_some_and(|scopes| scopes.split(' ').any(|name| name == scope.as_str()))
}

/// Whether a token with these claims must be accepted: a sufficient condition.
fn plainly_entitles(claims: &[u8], scope: Scope) -> bool {
    let Ok(json) = serde_json::from_slice::<Value>(claims) else { return false };
    // Claims are plain only if no part of their JSON is ambiguous, such as a repeated claim.
    json.to_string().as_bytes() == claims
        && json.as_object().is_some_and(|claims| claims.len() == 3)
        && claims.len() < 1000
        && json["exp"].as_u64().is_some_and(|exp| (4_000_000_000..1 << 53).contains(&exp))
        && entitles(HEADER, claims, scope)
}

/// The fields of an object, without those that are null. A value that cannot be read becomes `false`, which is valid
/// for no claim. The library need not read all of them: it skips numbers out of range and texts that are not UTF-8.
fn object(json: &[u8]) -> Option<BTreeMap<String, Value>> {
    let text = String::from_utf8_lossy(json);
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(&text).ok()?;
    let read = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or(Value::Bool(false));
    Some(fields.into_iter().map(|(name, raw)| (name, read(raw))).filter(|(_, value)| !value.is_null()).collect())
}

fn has(claims: &[u8], claim: &str) -> bool {
    object(claims).is_some_and(|claims| claims.contains_key(claim))
}

/// Whether a claim is this name, or a list that contains it.
fn names(claims: &[u8], claim: &str, name: &str) -> bool {
    let value = object(claims).and_then(|mut claims| claims.remove(claim)).unwrap_or_default();
    value == name || value.as_array().is_some_and(|names| names.iter().any(|other| other == name))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs_f64()
}

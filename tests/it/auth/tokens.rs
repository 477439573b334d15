//! Invalid tokens, and the ways to present a token.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answer, Answered, App, Db, SECRET, TOKEN, claims, now, signed, token, until};

const READ: &str = "users:read";

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// A token with any header and claims, signed with the right secret.
fn crafted(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn unsigned(alg: &str) -> String {
    let token = crafted(&json!({ "alg": alg, "typ": "JWT" }), &claims(READ));
    let (message, _) = token.rsplit_once('.').unwrap();
    format!("{message}.")
}

async fn read_with(app: &App, token: &str) -> Answer {
    app.anonymous(Method::GET, "/api/v2/users").bearer_auth(token).answer().await
}

#[track_caller]
fn assert_invalid(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {answer:?}");
    answer.problem(401, "invalid_token");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer ") && challenge.contains(r#"error="invalid_token""#), "{challenge}");
}

#[tokio::test]
async fn what_is_no_token_of_ours_does_not_do() {
    let app = App::start(Db::Sqlite).await;
    let good = token(&claims(READ));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let theirs = token(&claims("users:read users:write"));
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes");
    let header = |extra: Value| {
        let mut header = json!({ "alg": "HS256", "typ": "JWT" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        header
    };
    let bad = [
        ("another secret", signed(&Header::new(Algorithm::HS256), &claims(READ), &other)),
        (
            "another hash",
            signed(&Header::new(Algorithm::HS512), &claims(READ), &EncodingKey::from_secret(SECRET.as_bytes())),
        ),
        ("no signature", format!("{message}.")),
        ("half a signature", format!("{message}.{}", &signature[..20])),
        ("another's claims", format!("{}.{signature}", theirs.rsplit_once('.').unwrap().0)),
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg NONE", unsigned("NONE")),
        ("alg nOnE", unsigned("nOnE")),
        ("alg none, signed", crafted(&json!({ "alg": "none" }), &claims(READ))),
        ("alg RS256", crafted(&json!({ "alg": "RS256" }), &claims(READ))),
        ("no alg", crafted(&json!({ "typ": "JWT" }), &claims(READ))),
        ("a critical extension", crafted(&header(json!({ "crit": ["exp"] })), &claims(READ))),
        ("not base64", good.replace('.', ".!")),
        ("padded base64", format!("{good}=")),
        ("two parts", message.to_owned()),
        ("four parts", format!("{good}.{signature}")),
        ("nonsense", "nonsense".to_owned()),
        ("dots", "..".to_owned()),
        ("100 KiB", "a".repeat(100 << 10)),
        ("100 KiB in a claim", token(&with(claims(READ), "filler", "a".repeat(75 << 10).into()))),
    ];
    for (what, token) in bad {
        let answer = read_with(&app, &token).await;
        if token.len() > 64 << 10 {
            // The head may exceed its limit before the token is read.
            assert!(matches!(answer.status, 400 | 401 | 431), "{what}: {}", answer.status);
        } else {
            assert_invalid(&answer, what);
        }
    }
    read_with(&app, &good).await.expect(200);
}

/// The service ignores what a token says about its own key.
#[tokio::test]
async fn a_token_cannot_name_its_key() {
    let app = App::start(Db::Sqlite).await;
    let own = EncodingKey::from_secret(b"an attacker's own secret, of 32 bytes");
    let key = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(b"an attacker's own secret, of 32 bytes") });
    for (what, extra) in [
        ("jwk", json!({ "jwk": key })),
        ("jku", json!({ "jku": "http://127.0.0.1:1/keys" })),
        ("x5u", json!({ "x5u": "http://127.0.0.1:1/cert" })),
        ("kid", json!({ "kid": "unknown" })),
        ("kid as a path", json!({ "kid": "../../../../dev/null" })),
        ("kid as SQL", json!({ "kid": "' OR 1=1; --" })),
    ] {
        let mut header = json!({ "alg": "HS256", "typ": "JWT" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let header: Header = serde_json::from_value(header).unwrap();
        assert_invalid(&read_with(&app, &signed(&header, &claims(READ), &own)).await, what);
    }
}

#[tokio::test]
async fn claims_must_hold() {
    let app = App::start_with(
        Db::Sqlite,
        &[("JWT_SECRET", SECRET), ("JWT_ISSUER", "issuer"), ("JWT_AUDIENCE", "users"), ("JWT_LEEWAY", "0s")],
    )
    .await;
    let good = with(with(claims(READ), "iss", "issuer".into()), "aud", "users".into());
    let fine = [
        ("as it should be", good.clone()),
        ("one audience of several", with(good.clone(), "aud", json!(["other", "users"]))),
        ("valid since a minute", with(good.clone(), "nbf", (now() - 60).into())),
        (
            "a fraction of a second",
            with(good.clone(), "exp", serde_json::from_str(&format!("{}.5", now() + 60)).unwrap()),
        ),
    ];
    for (what, claims) in fine {
        let answer = read_with(&app, &token(&claims)).await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
    }
    let bad = [
        ("expired", with(good.clone(), "exp", (now() - 1).into()), "expired"),
        ("expires now", with(good.clone(), "exp", now().into()), "expired"),
        (
            "expires in this second",
            with(good.clone(), "exp", serde_json::from_str(&format!("{}.9", now())).unwrap()),
            "expired",
        ),
        ("expired long ago", with(good.clone(), "exp", 1.into()), "expired"),
        ("exp in the past of 1970", with(good.clone(), "exp", (-1).into()), ""),
        ("exp as a string", with(good.clone(), "exp", (now() + 60).to_string().into()), ""),
        ("exp as null", with(good.clone(), "exp", Value::Null), ""),
        ("no exp", without(good.clone(), "exp"), "lacks a claim"),
        ("not yet valid", with(good.clone(), "nbf", (now() + 60).into()), "not valid yet"),
        ("nbf as a string", with(good.clone(), "nbf", "0".into()), ""),
        ("no sub", without(good.clone(), "sub"), "lacks a claim"),
        ("an empty sub", with(good.clone(), "sub", "".into()), ""),
        ("a number for a sub", with(good.clone(), "sub", 7.into()), ""),
        ("no iss", without(good.clone(), "iss"), "lacks a claim"),
        ("another iss", with(good.clone(), "iss", "issuer2".into()), "another issuer"),
        ("no aud", without(good.clone(), "aud"), "lacks a claim"),
        ("an empty aud", with(good.clone(), "aud", json!([])), ""),
        ("another aud", with(good.clone(), "aud", "other".into()), "another audience"),
        ("a list of scopes", with(good.clone(), "scope", json!([READ])), ""),
        ("a list for claims", json!([good]), ""),
    ];
    for (what, claims, reason) in bad {
        let answer = read_with(&app, &token(&claims)).await;
        assert_invalid(&answer, what);
        assert!(answer.json()["detail"].as_str().unwrap().contains(reason), "{what}: {answer:?}");
    }
}

/// A service without a configured audience refuses a token with one (RFC 7519, 4.1.3).
#[tokio::test]
async fn an_audience_must_be_ours() {
    let app = App::start(Db::Sqlite).await;
    assert_invalid(&read_with(&app, &token(&with(claims(READ), "aud", "other".into()))).await, "another audience");
}

#[tokio::test]
async fn clocks_may_differ_a_little() {
    let app = App::start_with(Db::Sqlite, &[("JWT_SECRET", SECRET), ("JWT_LEEWAY", "1m")]).await;
    let late = token(&with(claims(READ), "exp", (now() - 30).into()));
    // Twice, because the second answer comes from the cache.
    for _ in 0..2 {
        read_with(&app, &late).await.expect(200);
    }
    read_with(&app, &token(&with(claims(READ), "nbf", (now() + 30).into()))).await.expect(200);
    assert_invalid(&read_with(&app, &token(&with(claims(READ), "exp", (now() - 90).into()))).await, "too late");
    assert_invalid(&read_with(&app, &token(&with(claims(READ), "nbf", (now() + 90).into()))).await, "too early");
}

#[tokio::test]
async fn a_remembered_token_expires_too() {
    let app = App::start_with(Db::Sqlite, &[("JWT_SECRET", SECRET), ("JWT_LEEWAY", "0s")]).await;
    let short = token(&with(claims(READ), "exp", (now() + 2).into()));
    read_with(&app, &short).await.expect(200);
    until("the token expires", Duration::from_secs(10), async || read_with(&app, &short).await.status == 401).await;
    assert!(now() >= json_exp(&short), "the token expired too early");
}

fn json_exp(token: &str) -> u64 {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["exp"].as_u64().unwrap()
}

/// Each token has its own scope, whether it is in the cache, was evicted, or is new.
#[tokio::test]
async fn more_tokens_than_are_remembered_all_do() {
    let app = App::start(Db::Sqlite).await;
    for round in 0..2 {
        for number in 0..1200 {
            let (scope, status) = if number % 2 == 0 { (READ, 200) } else { ("users:write", 403) };
            let token = token(&with(claims(scope), "sub", format!("caller {number}").into()));
            let answer = read_with(&app, &token).await;
            assert_eq!(answer.status, status, "round {round}, {number}: {answer:?}");
        }
    }
}

#[rstest]
#[case("bearer {}", 200)]
#[case("BEARER {}", 200)]
#[case("Bearer   {}", 200)]
#[case("Bearer{}", 401)]
#[case("Basic {}", 401)]
#[case("{}", 401)]
#[case("Token {}", 401)]
#[case("Bearer {} {}", 401)]
#[case("Bearer {},{}", 401)]
#[case("Bearer \"{}\"", 401)]
#[case("Bearer ", 401)]
#[case("Bearer", 401)]
#[case("", 401)]
#[tokio::test]
async fn it_is_presented_in_one_way(#[case] credentials: &str, #[case] status: u16) {
    let app = App::start(Db::Sqlite).await;
    let request = app.anonymous(Method::GET, "/api/v2/users");
    let answer = request.header("authorization", credentials.replace("{}", &TOKEN)).answer().await;
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
}

#[tokio::test]
async fn neither_two_headers_nor_the_url_will_do() {
    let app = App::start(Db::Sqlite).await;
    let twice = app.get("/api/v2/users").bearer_auth(&*TOKEN).answer().await;
    twice.problem(401, "unauthorized");
    for parameter in ["access_token", "token", "jwt"] {
        let path = format!("/api/v2/users?{parameter}={}", *TOKEN);
        app.anonymous(Method::GET, &path).answer().await.expect(401);
    }
    let body = json!({ "name": "John", "email": "john@example.com", "access_token": *TOKEN });
    app.anonymous(Method::POST, "/api/v2/users").json(&body).answer().await.expect(401);
}

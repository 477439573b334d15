//! Keys that an issuer publishes.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Request;
use tonic::metadata::MetadataKey;

use crate::support::proto::CreateUserRequest;
use crate::support::{Answered, App, Authority, CLIENTS, Db, Issuer, Program, at_once, claims, signed, until};

const READ: &str = "users:read";

/// A key of the issuer, which publishes the public half.
struct Key {
    id: &'static str,
    algorithm: Algorithm,
    private: EncodingKey,
}

impl Key {
    fn new(id: &'static str, algorithm: Algorithm, file: &str) -> Self {
        let pem = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/keys").join(file)).unwrap();
        let private = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(&pem),
            Algorithm::ES256 => EncodingKey::from_ec_pem(&pem),
            _ => EncodingKey::from_ed_pem(&pem),
        };
        Self { id, algorithm, private: private.unwrap() }
    }

    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn token(&self) -> String {
        self.token_named(Some(self.id))
    }

    fn token_named(&self, kid: Option<&str>) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(self.algorithm) };
        signed(&header, &claims(READ), &self.private)
    }
}

fn rsa() -> Key {
    Key::new("rsa", Algorithm::RS256, "rsa.pem")
}

fn other() -> Key {
    Key::new("other", Algorithm::RS256, "other.pem")
}

fn ed() -> Key {
    Key::new("ed", Algorithm::EdDSA, "ed.pem")
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

async fn app(issuer: &Issuer, vars: &[(&str, &str)]) -> App {
    App::start_with(Db::Sqlite, &[&[("JWKS_URL", issuer.url())], vars].concat()).await
}

async fn status(app: &App, token: &str) -> u16 {
    app.anonymous(Method::GET, "/api/v2/users").bearer_auth(token).answer().await.status
}

#[rstest]
#[case(rsa())]
#[case(Key::new("ec", Algorithm::ES256, "ec.pem"))]
#[case(ed())]
#[tokio::test]
async fn each_kind_of_key_is_taken(#[case] key: Key) {
    let issuer = Issuer::of(&set(&[other().jwk(), key.jwk()]));
    let app = app(&issuer, &[]).await;
    assert_eq!(status(&app, &key.token()).await, 200);
    assert_eq!(status(&app, &other().token()).await, 200);
    // The `kid` selects the key, then the signature is verified.
    assert_eq!(status(&app, &key.token_named(Some("other"))).await, 401);
    assert_eq!(status(&app, &key.token_named(None)).await, 401, "without a kid, two keys are ambiguous");
}

/// Before a call is authorized, headers that nobody reads are dropped. What makes a write idempotent is read.
#[tokio::test]
async fn a_call_that_waits_for_its_key_keeps_its_idempotency_key() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    let app = app(&issuer, &[]).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    // The service asks for an unknown key at most every 10 s.
    tokio::time::sleep(Duration::from_secs(11)).await;
    issuer.publish(&set(&[rsa().jwk(), other().jwk()]));
    let header = Header { kid: Some("other".to_owned()), ..Header::new(Algorithm::RS256) };
    let token = signed(&header, &claims("users:write"), &other().private);
    for is_replay in [false, true] {
        let john = CreateUserRequest { name: "John".into(), email: "john@example.com".into(), ..Default::default() };
        let mut request = Request::new(john);
        let metadata = request.metadata_mut();
        metadata.insert("idempotency-key", "k".parse().unwrap());
        for number in 0..20 {
            let name = format!("x-mesh-{number}");
            metadata.insert(MetadataKey::from_bytes(name.as_bytes()).unwrap(), "1".parse().unwrap());
        }
        let created = app.grpc_with(&token).create_user(request).await.unwrap();
        assert_eq!(created.metadata().contains_key("idempotency-replayed"), is_replay);
    }
}

#[tokio::test]
async fn the_only_key_needs_no_name() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    let app = app(&issuer, &[]).await;
    assert_eq!(status(&app, &rsa().token_named(None)).await, 200);
    assert_eq!(status(&app, &other().token_named(None)).await, 401);
}

#[tokio::test]
async fn attempts_to_fetch_are_counted() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    let app = app(&issuer, &[("JWKS_REFRESH", "50ms")]).await;
    let attempts = async |result: &str| {
        let metrics = app.metrics().await;
        metrics.sum("auth_jwks_refreshes_total", &[("result", result)])
    };
    until("fetches succeed", Duration::from_secs(5), async || attempts("success").await >= 2).await;
    issuer.publish("nonsense");
    until("a fetch fails", Duration::from_secs(5), async || attempts("failure").await >= 1).await;
}

/// Algorithm confusion: the public key, which everybody knows, used as a secret.
#[tokio::test]
async fn the_key_decides_the_algorithm() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    let app = app(&issuer, &[]).await;
    let modulus = rsa().jwk()["n"].as_str().unwrap().to_owned();
    for algorithm in [Algorithm::HS256, Algorithm::HS512] {
        let header = Header { kid: Some("rsa".to_owned()), ..Header::new(algorithm) };
        let forged = signed(&header, &claims(READ), &EncodingKey::from_secret(modulus.as_bytes()));
        assert_eq!(status(&app, &forged).await, 401);
    }
    let header = Header { kid: Some("rsa".to_owned()), ..Header::new(Algorithm::RS512) };
    assert_eq!(status(&app, &signed(&header, &claims(READ), &rsa().private)).await, 401);
}

#[rstest]
#[case::a_path("../../../../etc/passwd")]
#[case::a_query("' OR 1=1 --")]
#[case::empty("")]
#[tokio::test]
async fn a_name_is_only_a_name(#[case] kid: &str) {
    let issuer = Issuer::of(&set(&[rsa().jwk(), other().jwk()]));
    let app = app(&issuer, &[]).await;
    assert_eq!(status(&app, &rsa().token_named(Some(kid))).await, 401);
}

/// A request with an unknown key waits until the service has asked the issuer, and then succeeds.
#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_first_seen() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    let app = app(&issuer, &[]).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    // The service asks for an unknown key at most every 10 s.
    tokio::time::sleep(Duration::from_secs(11)).await;
    issuer.publish(&set(&[rsa().jwk(), other().jwk()]));
    // Signed beforehand, because signing is slow in a debug build and would delay the requests.
    let token = other().token();
    let statuses = at_once(CLIENTS, async |_| status(&app, &token).await).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(issuer.asked(), 2);
    assert_eq!(status(&app, &rsa().token()).await, 200);
}

#[tokio::test]
async fn whoever_waits_for_a_key_is_counted_once_and_by_subject() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    let app = app(&issuer, &[("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    tokio::time::sleep(Duration::from_secs(11)).await;
    issuer.publish(&set(&[other().jwk()]));
    assert_eq!(status(&app, &other().token()).await, 200);
    assert_eq!(status(&app, "nonsense").await, 401, "the valid token did not count for the address");
    assert_eq!(status(&app, "nonsense").await, 429);
}

#[tokio::test]
async fn whoever_invents_names_does_not_press_the_issuer() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    let app = app(&issuer, &[]).await;
    let begun = Instant::now();
    for number in 0..300 {
        assert_eq!(status(&app, &rsa().token_named(Some(&number.to_string()))).await, 401);
    }
    let bound = 2 + begun.elapsed().as_secs() / 10;
    assert!(issuer.asked() as u64 <= bound, "{} times", issuer.asked());
}

#[tokio::test]
async fn keys_are_fetched_from_time_to_time_and_kept_while_the_issuer_is_down() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    let app = app(&issuer, &[("JWKS_REFRESH", "100ms")]).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    issuer.go_down();
    let before = issuer.asked();
    until("the service asks while the issuer is down", Duration::from_secs(10), async || issuer.asked() > before).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    // The service keeps its keys, too, if the answer is not a set of keys.
    issuer.publish("<html>welcome</html>");
    issuer.come_back();
    let before = issuer.asked();
    until("the service asks again", Duration::from_secs(10), async || issuer.asked() > before + 1).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    app.logs("cannot fetch the keys").await;
    let log = app.log();
    assert_eq!(log.matches("cannot fetch the keys").count(), 1, "a failure is logged once: {log}");
}

/// When a key is withdrawn, its tokens are invalid, even those in the cache.
#[tokio::test]
async fn a_key_that_is_withdrawn_is_not_believed_any_more() {
    let issuer = Issuer::of(&set(&[rsa().jwk(), other().jwk()]));
    let app = app(&issuer, &[("JWKS_REFRESH", "100ms")]).await;
    assert_eq!(status(&app, &other().token()).await, 200);
    let token = rsa().token();
    assert_eq!(status(&app, &token).await, 200);
    issuer.publish(&set(&[other().jwk()]));
    until("the token is refused", Duration::from_secs(10), async || status(&app, &token).await == 401).await;
    assert_eq!(status(&app, &other().token()).await, 200);
    // An issuer that withdraws all keys is not down.
    issuer.publish(&set(&[]));
    until("no token is valid", Duration::from_secs(10), async || status(&app, &other().token()).await == 401).await;
}

#[tokio::test]
async fn without_any_key_yet_it_says_to_come_back() {
    let issuer = Issuer::of(&set(&[rsa().jwk()]));
    issuer.go_down();
    let app = app(&issuer, &[]).await;
    let answer = app.anonymous(Method::GET, "/api/v2/users").bearer_auth(rsa().token()).answer().await;
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(status(&app, "nonsense").await, 401);
    issuer.come_back();
    until("the service has keys", Duration::from_secs(20), async || status(&app, &rsa().token()).await == 200).await;
}

/// The issuer's certificate must match the URL.
#[tokio::test]
async fn over_tls_the_issuer_is_verified() {
    let authority = Authority::new();
    let trusted = TempDir::new().unwrap();
    let roots = trusted.path().join("roots.pem");
    fs::write(&roots, authority.pem()).unwrap();
    let roots = ("SSL_CERT_FILE", roots.to_str().unwrap());
    let issuer = Issuer::secure(&set(&[rsa().jwk()]), &authority.sign("127.0.0.1"));
    assert_eq!(status(&app(&issuer, &[roots]).await, &rsa().token()).await, 200);
    for other in [authority.sign("issuer.example.com"), Authority::new().sign("127.0.0.1")] {
        let issuer = Issuer::secure(&set(&[rsa().jwk()]), &other);
        assert_eq!(status(&app(&issuer, &[roots]).await, &rsa().token()).await, 503);
        assert_eq!(issuer.asked(), 0);
    }
}

/// One in 256 keys begins with a zero byte.
#[tokio::test]
async fn a_key_may_begin_with_zero() {
    let mut jwk = Key::new("ed", Algorithm::EdDSA, "ed.pem").jwk();
    // The bytes 0 to 31.
    jwk["x"] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".into();
    let issuer = Issuer::of(&set(&[jwk]));
    let app = app(&issuer, &[]).await;
    app.logs("publishes 1 keys").await;
}

/// The service skips each of these keys, and uses the valid one.
#[tokio::test]
async fn keys_that_will_not_do_are_passed_over() {
    let secret = json!({ "kty": "oct", "kid": "secret", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" });
    let mut encryption = other().jwk();
    encryption["use"] = "enc".into();
    let mut short = other().jwk();
    (short["kid"], short["n"]) = ("short".into(), "x".repeat(171).into());
    let mut pss = other().jwk();
    (pss["kid"], pss["alg"]) = ("pss".into(), "PS256".into());
    let mut wrapping = other().jwk();
    (wrapping["kid"], wrapping["key_ops"]) = ("wrapping".into(), json!(["wrapKey"]));
    let strange = json!({ "kty": "AKP", "kid": "strange", "pub": "x" });
    let issuer = Issuer::of(&set(&[secret, encryption, short, pss, wrapping, strange, json!("no key"), rsa().jwk()]));
    let app = app(&issuer, &[]).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    for kid in ["other", "short", "pss", "wrapping"] {
        assert_eq!(status(&app, &other().token_named(Some(kid))).await, 401, "{kid}");
    }
    let header = Header { kid: Some("secret".to_owned()), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef");
    assert_eq!(status(&app, &signed(&header, &claims(READ), &key)).await, 401);
}

#[rstest]
#[case("ftp://example.com/keys")]
#[case("example.com/keys")]
#[case("https://ann:s3cret@example.com/keys")]
#[case("https://")]
fn a_url_that_will_not_do_is_a_mistake(#[case] url: &str) {
    let dir = TempDir::new().unwrap();
    let output = Program::new(dir.path()).args(["check-config"]).env("JWKS_URL", url).run().exited(2);
    assert!(output.line_about("JWKS_URL").contains("https://"), "{output:?}");
    assert!(!output.stderr.contains("s3cret"), "{output:?}");
}

#[test]
fn what_may_be_secret_in_a_url_is_not_shown() {
    let dir = TempDir::new().unwrap();
    let program = Program::new(dir.path()).args(["check-config"]);
    let output = program.env("JWKS_URL", "HTTPS://Example.com/keys?code=s3cret#s3cret").run().succeeded();
    assert!(output.stdout.contains("JWKS_URL=https://example.com/keys?***"), "{output:?}");
    assert!(!output.stdout.contains("s3cret"), "{output:?}");
}

#[test]
fn there_is_one_source_of_keys() {
    let dir = TempDir::new().unwrap();
    let program = Program::new(dir.path()).args(["check-config"]).with_a_key();
    let output = program.env("JWKS_URL", "https://example.com/keys").run().exited(2);
    output.line_about("JWT_SECRET");
    let program = Program::new(dir.path()).args(["token", "--subject", "me", "--scope", READ]);
    let output = program.env("JWKS_URL", "https://example.com/keys").run().exited(1);
    assert!(output.line_about("sign").contains("private key"), "{output:?}");
}

/// With the neutral element as key, this signature is valid for every text. With an exponent of 1, everybody can sign.
#[tokio::test]
async fn a_key_that_anybody_can_sign_for_is_none() {
    let neutral = [[1].as_slice(), &[0; 31]].concat();
    let weak = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "weak", "x": URL_SAFE_NO_PAD.encode(&neutral) });
    let one = json!({ "kty": "RSA", "kid": "one", "n": other().jwk()["n"], "e": "AQ" });
    let issuer = Issuer::of(&set(&[rsa().jwk(), weak, one]));
    let app = app(&issuer, &[]).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    let forged = |kid: &str, signature: &[u8]| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        let any = signed(&header, &claims(READ), &ed().private);
        let text = any.rsplit_once('.').unwrap().0;
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    let signature = [neutral.as_slice(), &[0; 32]].concat();
    assert_eq!(status(&app, &forged("weak", &signature)).await, 401);
    app.logs("publishes 1 keys that can be used").await;
}

/// A listener in place of a proxy, which counts connections.
fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, asked) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    // The thread ends with the test's process.
    thread::spawn(move || listener.incoming().for_each(|_| _ = count.fetch_add(1, Ordering::SeqCst)));
    (url, asked)
}

#[tokio::test]
async fn loopback_goes_through_no_proxy() {
    let (issuer, (proxy, asked)) = (Issuer::of(&set(&[rsa().jwk()])), proxy());
    let variables = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"];
    let app = app(&issuer, &variables.map(|name| (name, proxy.as_str()))).await;
    assert_eq!(status(&app, &rsa().token()).await, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// The service reads the proxy variables as curl and Go do.
#[rstest]
#[case("http", &["HTTP_PROXY"], "", true)]
#[case("http", &["ALL_PROXY"], "", true)]
#[case("https", &["https_proxy"], "other.invalid", true)]
#[case("http", &["HTTPS_PROXY"], "", false)]
#[case("https", &["HTTP_PROXY"], "", false)]
#[case("http", &["HTTP_PROXY", "ALL_PROXY"], "other.invalid, KEYS.Issuer.invalid", false)]
#[case("http", &["HTTP_PROXY"], ".issuer.invalid", false)]
#[case("http", &["HTTP_PROXY"], "issuer.invalid", false)]
#[case("http", &["HTTP_PROXY"], "*", false)]
#[tokio::test]
async fn other_hosts_are_asked_as_the_environment_says(
    #[case] scheme: &str,
    #[case] variables: &[&str],
    #[case] no_proxy: &str,
    #[case] expected: bool,
) {
    let (proxy, asked) = proxy();
    let url = format!("{scheme}://keys.issuer.invalid/keys");
    let mut vars = vec![("JWKS_URL", url.as_str()), ("NO_PROXY", no_proxy)];
    vars.extend(variables.iter().map(|name| (*name, proxy.as_str())));
    let app = App::start_with(Db::Sqlite, &vars).await;
    until("the service has tried", Duration::from_secs(20), async || app.log().contains("cannot fetch the keys")).await;
    assert_eq!(asked.load(Ordering::SeqCst) > 0, expected, "{}", app.log());
}

//! Where the key for tokens comes from, and which algorithm it implies.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use rstest::rstest;
use tempfile::TempDir;

use crate::support::{Answered, App, Db, Program, SECRET, Server, claims, signed};

const READ: &str = "users:read";
/// An unset variable: the program must find its own key.
const NO_KEY: (&str, &str) = ("JWT_SECRET", "");

fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/keys").join(name)
}

fn key(name: &str) -> Vec<u8> {
    fs::read(key_file(name)).unwrap()
}

async fn status_with(server: &Server, token: &str) -> u16 {
    server.anonymous(Method::GET, "/api/v2/users").bearer_auth(token).answer().await.status
}

fn signing_key(algorithm: Algorithm, pem: &[u8]) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(pem),
        Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
        _ => EncodingKey::from_ed_pem(pem),
    }
    .unwrap()
}

#[rstest]
#[case(Algorithm::RS256, "rsa")]
#[case(Algorithm::ES256, "ec")]
#[case(Algorithm::EdDSA, "ed")]
#[tokio::test]
async fn a_public_key_decides_the_algorithm(#[case] algorithm: Algorithm, #[case] name: &str) {
    let public = format!("{name}.pub.pem");
    let app = App::start_with(Db::Sqlite, &[("JWT_PUBLIC_KEY", key_file(&public).to_str().unwrap())]).await;
    let private = signing_key(algorithm, &key(&format!("{name}.pem")));
    assert_eq!(status_with(&app, &signed(&Header::new(algorithm), &claims(READ), &private)).await, 200);
    // The public key, which everybody knows, used as a secret.
    for secret in [key(&public), key(&public).trim_ascii_end().to_vec()] {
        for hash in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let forged = signed(&Header::new(hash), &claims(READ), &EncodingKey::from_secret(&secret));
            assert_eq!(status_with(&app, &forged).await, 401, "{hash:?}");
        }
    }
    let other = signing_key(Algorithm::RS256, &key("other.pem"));
    assert_eq!(status_with(&app, &signed(&Header::new(Algorithm::RS256), &claims(READ), &other)).await, 401);
    if algorithm == Algorithm::RS256 {
        for unwanted in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
            assert_eq!(status_with(&app, &signed(&Header::new(unwanted), &claims(READ), &private)).await, 401);
        }
    }
}

#[rstest]
#[case("missing.pem")]
#[case("README.md")]
#[case("rsa.pem")]
#[case("both.pem")]
#[case("p384.pub.pem")]
#[case("rsa1024.pub.pem")]
#[case("rsa8192.pub.pem")]
fn what_holds_no_public_key_that_will_do_is_named(#[case] name: &str) {
    let dir = TempDir::new().unwrap();
    let file = key_file(name);
    for command in ["serve", "check-config"] {
        let program = Program::new(dir.path()).args([command]);
        let output = program.env("JWT_PUBLIC_KEY", file.to_str().unwrap()).run().exited(2);
        let line = output.line_about("JWT_PUBLIC_KEY");
        assert!(line.contains(name) && line.contains("P-256"), "{line}");
    }
}

#[test]
fn a_key_in_place_of_its_path_is_not_shown() {
    let dir = TempDir::new().unwrap();
    let pem = String::from_utf8(key("rsa.pem")).unwrap();
    let output = Program::new(dir.path()).args(["check-config"]).env("JWT_PUBLIC_KEY", &pem).run().exited(2);
    assert!(output.line_about("JWT_PUBLIC_KEY").contains("the path"), "{output:?}");
    assert!(!format!("{output:?}").contains(pem.lines().nth(1).unwrap()), "{output:?}");
}

/// If the program read such bytes as text, each would become the same character, and the secret could be guessed.
#[rstest]
#[case("JWT_SECRET")]
#[case("JWT_PUBLIC_KEY")]
#[case("JWT_ISSUER")]
#[case("JWT_AUDIENCE")]
fn what_is_no_text_is_refused(#[case] variable: &str) {
    let dir = TempDir::new().unwrap();
    let bytes = OsStr::from_bytes(&[0xff; 40]);
    let output = Program::new(dir.path()).args(["check-config"]).env(variable, bytes).run().exited(2);
    assert!(output.line_about(variable).contains("UTF-8"), "{output:?}");
}

#[test]
fn a_token_for_no_service_is_not_printed() {
    let database = Db::Sqlite.fresh();
    let output = database.program().args(["token", "--subject", "x", "--scope", READ]).run().exited(1);
    assert!(output.line_about("jwt-secret").contains("start the service first"), "{output:?}");
    assert_eq!(output.stdout, "");
    assert_eq!(fs::read_dir(database.dir()).unwrap().count(), 0, "no file is created");
}

#[tokio::test]
async fn sqlite_brings_its_own_secret() {
    let mut app = App::start_with(Db::Sqlite, &[NO_KEY]).await;
    let print = |scope: &str| {
        let args = ["token", "--subject", "tests", "--scope", scope, "--ttl", "10m"];
        let output = app.database.program().args(args).run().succeeded();
        assert_eq!(output.stderr, "");
        assert_eq!(output.stdout.lines().count(), 1, "{output:?}");
        output.stdout.trim().to_owned()
    };
    let (reader, writer) = (print("users:read"), print("users:write"));
    assert_eq!(status_with(&app, &reader).await, 200);
    assert_eq!(status_with(&app, &writer).await, 403);
    assert_eq!(status_with(&app, &crate::support::TOKEN).await, 401, "signed with another secret");

    let file = app.database.dir().join("users.db.jwt-secret");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(&file).unwrap();
    assert!(secret.trim().len() >= 32 && !app.log().contains(secret.trim()));
    app.restart_with(&[NO_KEY]).await;
    assert_eq!(status_with(&app, &reader).await, 200, "the secret is kept");
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_refused() {
    let database = Db::Sqlite.fresh();
    let file = database.dir().join("users.db.jwt-secret");
    fs::write(&file, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let output = database.program().run().exited(1);
    assert!(output.line_about("jwt-secret").contains("chmod 600"), "{output:?}");
}

#[test]
fn postgresql_needs_a_key_to_serve_only() {
    let database = Db::Postgres.fresh();
    for command in [&["serve"][..], &["check-config"], &["token", "--subject", "x", "--scope", "users:read"]] {
        let output = database.program().args(command).run().exited(2);
        assert!(output.line_about("JWT_SECRET").contains("JWT_PUBLIC_KEY"), "{output:?}");
    }
    database.program().args(["migrate"]).run().succeeded();
    database.program().args(["seed", "--count", "1"]).run().succeeded();
}

#[rstest]
#[case("short")]
#[case("0123456789abcdef0123456789abcde")]
fn a_short_secret_is_refused_and_not_shown(#[case] secret: &str) {
    let dir = TempDir::new().unwrap();
    let output = Program::new(dir.path()).env("JWT_SECRET", secret).run().exited(2);
    assert!(output.line_about("JWT_SECRET").contains("32 bytes"), "{output:?}");
    assert!(!output.stderr.contains(secret), "{output:?}");
}

#[test]
fn check_config_masks_the_secret() {
    let dir = TempDir::new().unwrap();
    let issuer = [("JWT_SECRET", SECRET), ("JWT_ISSUER", "me"), ("JWT_AUDIENCE", "users")];
    let output = Program::new(dir.path()).args(["check-config"]).envs(&issuer).run().succeeded();
    for line in ["JWT_SECRET=***", "JWT_ISSUER=me", "JWT_AUDIENCE=users"] {
        assert!(output.stdout.lines().any(|printed| printed == line), "{output:?}");
    }
    assert!(!output.stdout.contains(SECRET));
}

#[tokio::test]
async fn a_printed_token_fits_the_configuration() {
    let issuer = [("JWT_SECRET", SECRET), ("JWT_ISSUER", "me"), ("JWT_AUDIENCE", "users")];
    let app = App::start_with(Db::Sqlite, &issuer).await;
    let args = ["token", "--subject", "tests", "--scope", READ];
    let output = app.database.program().args(args).envs(&issuer).run().succeeded();
    assert_eq!(status_with(&app, output.stdout.trim()).await, 200);
}

#[rstest]
#[case(&["token"])]
#[case(&["token", "--subject", "x"])]
#[case(&["token", "--subject", "", "--scope", "users:read"])]
#[case(&["token", "--subject", "x", "--scope", "users:read", "--ttl", "soon"])]
#[case(&["token", "--subject", "x", "--scope", "users:read", "--ttl", "0s"])]
#[case(&["token", "--subject", "x", "--scope", "users:read", "--ttl", "500ms"])]
fn a_token_is_asked_for_in_full(#[case] args: &[&str]) {
    let dir = TempDir::new().unwrap();
    let output = Program::new(dir.path()).args(args).run().exited(2);
    assert_eq!(output.stdout, "");
}

#[test]
fn a_public_key_signs_nothing() {
    let dir = TempDir::new().unwrap();
    let file = key_file("rsa.pub.pem");
    let args = ["token", "--subject", "x", "--scope", READ];
    let output = Program::new(dir.path()).args(args).env("JWT_PUBLIC_KEY", file.to_str().unwrap()).run().exited(1);
    assert!(output.line_about("JWT_PUBLIC_KEY").contains("private key"), "{output:?}");
    assert_eq!(output.stdout, "");
}

/// The other owner knows the secret and can sign tokens.
#[test]
fn a_secret_of_another_owner_is_refused() {
    const NOBODY: u32 = 65534;
    let database = Db::Sqlite.fresh();
    let file = database.dir().join("users.db.jwt-secret");
    fs::write(&file, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    // Only root can change a file's owner, and only root could then read the file.
    if chown(&file, Some(NOBODY), Some(NOBODY)).is_err() {
        return;
    }
    for args in [&["serve"][..], &["token", "--subject", "x", "--scope", READ]] {
        let output = database.program().args(args).run().exited(1);
        assert!(output.line_about("jwt-secret").contains("belongs to another user"), "{output:?}");
    }
}

/// With one of these as key, anybody can construct a signature that is valid for nearly every text.
#[rstest]
#[case("0100000000000000000000000000000000000000000000000000000000000000")]
#[case("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")]
#[case("0000000000000000000000000000000000000000000000000000000000000000")]
#[case("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")]
#[case("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")]
fn an_ed25519_key_of_small_order_is_none(#[case] point: &str) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("key.pem");
    let digits = Vec::from_iter(point.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()));
    let point = digits.into_iter().map(|pair| u8::from_str_radix(pair, 16).unwrap());
    // A SubjectPublicKeyInfo (RFC 8410, 4).
    let der = Vec::from_iter(b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".iter().copied().chain(point));
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
    fs::write(&file, pem).unwrap();
    let check = Program::new(dir.path()).args(["check-config"]).env("JWT_PUBLIC_KEY", "key.pem");
    check.run().exited(2).line_about("JWT_PUBLIC_KEY");
}

//! Configuration from the environment and `.env`. Every mistake is reported at once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rstest::rstest;
use tempfile::TempDir;

use crate::support::{Answered, Program, Server, until};

/// Every variable with an invalid value.
const MISTAKES: [(&str, &str); 38] = [
    ("DATABASE_URL", "mysql://root@db/users"),
    ("SERVER_HOST", "no host"),
    ("SERVER_PORT", "70000"),
    ("SERVER_WORKERS", "none"),
    ("GRPC_PORT", "-1"),
    ("GRPC_MAX_STREAMS", "0"),
    ("GRPC_PING_INTERVAL", "often"),
    ("GRPC_MAX_CONNECTION_AGE", "for ever"),
    ("LOG_LEVEL", "user_service=loud"),
    ("LOG_FORMAT", "xml"),
    ("ACCESS_LOG", "some"),
    ("SLOW_REQUEST", "5 heartbeats"),
    ("SERVER_TIMING", "perhaps"),
    ("DB_POOL_SIZE", "0"),
    ("DB_LOOKUP_ACTORS", "0"),
    ("DB_PAGE_ACTORS", "-1"),
    ("DB_MAILBOX", "0"),
    ("DB_MAX_BATCH", "0"),
    ("DB_DEADLINE", "soon"),
    ("DB_MAX_WAIT", "later"),
    ("DB_CONNECT_TIMEOUT", "-1s"),
    ("DB_AUTO_MIGRATE", "perhaps"),
    ("USER_CACHE_BYTES", "plenty"),
    ("MAX_STALENESS", "61s"),
    ("MAX_HEAD_BYTES", "a few"),
    ("MAX_BODY_BYTES", "64 apples"),
    ("MAX_CONNECTIONS", "0"),
    ("HEAD_TIMEOUT", "2 parsecs"),
    ("BODY_TIMEOUT", "quickly"),
    ("RESPONSE_TIMEOUT", "eventually"),
    ("KEEP_ALIVE", "always"),
    ("RATE_LIMIT", "often"),
    ("RATE_BURST", "0"),
    ("CORS_ORIGINS", "example.com"),
    ("JWT_LEEWAY", "500ms"),
    ("JWKS_REFRESH", "now and then"),
    ("SHUTDOWN_DELAY", "1.s"),
    ("SHUTDOWN_GRACE", "enough"),
];

/// The part of a value that may be shown. The rest of a URL can hold a password.
fn shown(value: &str) -> &str {
    value.split("//").next().unwrap_or_default()
}

fn check_config(dir: &TempDir) -> Program {
    Program::new(dir.path()).args(["check-config"]).with_a_key()
}

#[rstest]
#[case(&[])]
#[case(&["serve"])]
#[case(&["migrate"])]
#[case(&["seed", "--count", "1"])]
#[case(&["check-config"])]
fn every_mistake_is_told_in_one_run(#[case] args: &[&str]) {
    let dir = TempDir::new().unwrap();
    let output = Program::new(dir.path()).args(args).envs(&MISTAKES).run().exited(2);
    for (variable, value) in MISTAKES {
        let line = output.line_about(variable);
        assert!(line.contains(shown(value)), "the line shows the value: {line}");
        assert!(line.len() > variable.len() + value.len() + 10, "the line says which values are valid: {line}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no file is created");
}

/// Mistakes that are checked only after others are reported in the same run.
#[test]
fn mistakes_of_what_goes_together_are_told_in_one_run() {
    let dir = TempDir::new().unwrap();
    let mistakes = [
        ("EVENTS_SOURCE", "a b"),
        ("EVENTS_MAX_READERS", "20000"),
        ("EVENTS_MAX_TRIES", "often"),
        ("AMQP_URL", "rabbit"),
        ("JWKS_URL", "issuer"),
        ("JWKS_REFRESH", "often"),
        ("SHUTDOWN_DELAY", "30s"),
    ];
    let output = Program::new(dir.path()).args(["check-config"]).envs(&mistakes).run().exited(2);
    for (variable, _) in mistakes {
        let about = output.stderr.lines().filter(|line| line.starts_with(&format!("{variable}="))).count();
        assert_eq!(about, 1, "{variable}: {output:?}");
    }
}

#[test]
fn one_mistake_is_enough() {
    let dir = TempDir::new().unwrap();
    for (variable, value) in MISTAKES {
        let output = check_config(&dir).env(variable, value).run().exited(2);
        assert!(output.line_about(variable).contains(shown(value)), "{output:?}");
        for (other, _) in MISTAKES.iter().filter(|(other, _)| *other != variable) {
            assert!(!output.stderr.contains(other), "{other} holds no mistake: {output:?}");
        }
    }
}

#[rstest]
#[case("mysql://root@db/users", "mysql")]
#[case("users.db", "")]
#[case("https://example.com", "https")]
fn another_database_is_refused_by_name(#[case] url: &str, #[case] named: &str) {
    let dir = TempDir::new().unwrap();
    let output = check_config(&dir).env("DATABASE_URL", url).run().exited(2);
    let line = output.line_about("DATABASE_URL");
    assert!(line.contains(named) && line.contains("sqlite://") && line.contains("postgres"), "{line}");
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let dir = TempDir::new().unwrap();
    let output = check_config(&dir).run().succeeded();
    for (variable, value) in [
        ("DATABASE_URL", "sqlite://data/users.db"),
        ("SERVER_HOST", "127.0.0.1"),
        ("SERVER_PORT", "3000"),
        ("LOG_LEVEL", "info"),
        ("LOG_FORMAT", "text"),
        ("DB_AUTO_MIGRATE", "true"),
    ] {
        let line = output.stdout.lines().find(|line| line.contains(variable)).unwrap_or_else(|| panic!("{output:?}"));
        assert!(line.contains(value), "{line}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "check-config creates no file");
}

#[test]
fn every_variable_is_printed_and_documented() {
    let dir = TempDir::new().unwrap();
    let printed = check_config(&dir).run().succeeded().stdout;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let document = fs::read_to_string(path).expect("docs/configuration.md");
    let table: Vec<&str> = document.lines().filter(|line| line.starts_with('|')).collect();
    for (variable, _) in MISTAKES {
        assert!(printed.contains(variable), "check-config prints {variable}");
        assert!(table.iter().any(|row| row.contains(&format!("`{variable}`"))), "docs/configuration.md has {variable}");
    }
}

#[rstest]
#[case("postgres://jane:hunter2@db.example.com:5433/users")]
#[case("postgresql://jane:hunter2@db.example.com/users?sslmode=require")]
#[case("postgres://jane@db.example.com/users?password=hunter2")]
#[case("postgres://jane:hunter%32@db.example.com/users")]
fn a_password_is_masked(#[case] url: &str) {
    let dir = TempDir::new().unwrap();
    let output = check_config(&dir).env("DATABASE_URL", url).run().succeeded();
    assert!(output.stdout.contains("***") && output.stdout.contains("db.example.com"), "{output:?}");
    assert!(!format!("{output:?}").contains("hunter"), "{output:?}");
}

#[rstest]
#[case("mysql://jane:hunter2@db.example.com/users")]
#[case("postgres://jane:hunter2@db.example.com:99999/users")]
#[case("postgres://jane:hunter2@[db/users")]
#[case("host=db.example.com user=jane password=hunter2")]
#[case("postgres://jane:hunter2@[::1]x/users")]
#[case("postgres://jane:hunter2/users")]
#[case("postgres://jane:hunter2%00@db.example.com/users")]
#[case("postgres://jane:p@hunter2@db.example.com/users")]
#[case("postgres://jane:hun/hunter2@db.example.com/users")]
#[case("postgres://jane:hunter2%zz@db.example.com/users")]
#[case("postgres://jane:hunter2 x@db.example.com/users")]
fn a_password_in_a_mistake_is_masked(#[case] url: &str) {
    let dir = TempDir::new().unwrap();
    let output = check_config(&dir).env("DATABASE_URL", url).run();
    assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
}

#[rstest]
#[case("postgres://jane:hunter2@127.0.0.1:1/users")]
#[case("postgres://jane@127.0.0.1:1/users?password=hunter2")]
#[tokio::test]
async fn a_password_is_never_logged(#[case] url: &str) {
    let dir = TempDir::new().unwrap();
    let server = Server::listening(Program::new(dir.path()).env("DATABASE_URL", url).env("LOG_LEVEL", "debug"));
    until("/ready reports it", Duration::from_secs(5), async || !server.is_ready().await).await;
    let refused = server.get("/api/v2/users").answer().await;
    assert!(!refused.text.contains("hunter2"), "{refused:?}");
    let not_ready = server.get("/ready").answer().await;
    assert!(!not_ready.text.contains("hunter2"), "{not_ready:?}");
    assert!(!server.log().contains("hunter2"), "{}", server.log());
}

#[test]
fn a_dot_env_file_is_read_and_the_environment_wins() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(".env"), "SERVER_PORT=4321\nSERVER_HOST=0.0.0.0\n").unwrap();
    let output = check_config(&dir).env("SERVER_HOST", "127.0.0.2").run().succeeded();
    for expected in ["4321", "127.0.0.2"] {
        assert!(output.stdout.contains(expected), "{output:?}");
    }
    assert!(!output.stdout.contains("0.0.0.0"), "{output:?}");
    fs::write(dir.path().join(".env"), "SERVER_PORT=nowhere\n").unwrap();
    assert!(check_config(&dir).run().exited(2).line_about("SERVER_PORT").contains("nowhere"));
}

#[tokio::test]
async fn logs_may_be_json() {
    let dir = TempDir::new().unwrap();
    let server = Server::listening(Program::new(dir.path()).env("LOG_FORMAT", "json"));
    server.ready().await;
    for line in server.log().lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

#[test]
fn a_delay_must_leave_time_to_drain() {
    let dir = TempDir::new().unwrap();
    let output = check_config(&dir).env("SHUTDOWN_DELAY", "2s").env("SHUTDOWN_GRACE", "1s").run().exited(2);
    assert!(output.line_about("SHUTDOWN_DELAY").contains("SHUTDOWN_GRACE"), "{output:?}");
}

#[test]
fn an_empty_variable_leaves_it_to_the_file() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(".env"), "SERVER_PORT=4321\n").unwrap();
    let output = check_config(&dir).env("SERVER_PORT", "").run().succeeded();
    assert!(output.stdout.contains("SERVER_PORT=4321"), "{output:?}");
}

/// On Lambda, files are lost with the process, and nothing runs between two requests.
#[test]
fn aws_lambda_takes_neither_sqlite_nor_a_broker() {
    let dir = TempDir::new().unwrap();
    let on_lambda = || check_config(&dir).env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
    let output = on_lambda().env("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f").run().exited(2);
    assert!(output.line_about("DATABASE_URL").contains("postgres://"), "{output:?}");
    assert!(output.line_about("AMQP_URL").contains("a replica"), "{output:?}");
    assert!(!output.stderr.contains("guest:guest"), "{output:?}");
    let printed = on_lambda().env("DATABASE_URL", "postgres://localhost/users").run().succeeded().stdout;
    assert!(printed.lines().any(|line| line == "DB_POOL_SIZE=2"), "{printed}");
}

/// If the file expanded `$`, it would insert another variable, and most of a password would be lost.
#[rstest]
#[case("JWT_SECRET=0123456789abcdef0123456789abcdef$ecret")]
#[case("JWT_SECRET=\"0123456789abcdef0123456789abcdef$ecret\"")]
#[case("JWT_SECRET='0123456789abcdef0123456789abcdef'$ecret")]
#[case("JWT_SECRET=\"0123456789abcdef\n0123456789abcdef$ecret\"")]
#[case("export JWT_SECRET = 0123456789abcdef0123456789abcdef${HOME}")]
fn a_dollar_in_the_file_is_not_guessed_at(#[case] line: &str) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join(".env");
    fs::write(&file, line).unwrap();
    let output = check_config(&dir).run().exited(2);
    assert!(output.line_about(".env").contains("single quotes"), "{output:?}");
    assert!(!output.stderr.contains("0123456789"), "{output:?}");
    fs::write(&file, "# costs $5\nEVENTS_SOURCE='/$HOME'\n").unwrap();
    let printed = check_config(&dir).run().succeeded().stdout;
    assert!(printed.lines().any(|line| line == "EVENTS_SOURCE=/$HOME"), "{printed}");
}

/// Other tools would read these values differently, for example drop quotes and backslashes, so a password would
/// change.
#[rstest]
#[case("NAME='0123456789abcdef'0123456789abcdef'")]
#[case("NAME=0123456789abcdef'0123456789abcdef'")]
#[case("NAME=0123456789abcdef\"0123456789abcdef")]
#[case("NAME=0123456789abcdef\\0123456789abcdef")]
#[case("NAME=0123456789abcdef\\\\0123456789abcdef")]
#[case("NAME='0123456789abcdef''0123456789abcdef'")]
#[case("NAME=\"0123456789abcdef\"0123456789abcdef")]
#[case("NAME='0123456789abcdef\\'\nOTHER='0123456789abcdef'")]
#[case("NAME=\"0123456789abcdef\n0123456789abcdef\"")]
#[case("NAME='0123456789abcdef")]
#[case("NAME='0123456789abcdef' 0123456789abcdef")]
#[case("NAME=\"0123456789abcdef\\x\"")]
#[case("NAME=0123456789abcdef 0123456789abcdef")]
#[case("NAME=#0123456789abcdef0123456789abcdef")]
#[case("NAME: 0123456789abcdef0123456789abcdef")]
#[case("\u{feff}NAME=0123456789abcdef0123456789abcdef")]
#[case("NAME=0123456789abcdef\nNAME=fedcba9876543210")]
fn the_file_says_the_same_to_everybody(#[case] text: &str) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(".env"), text.replace("NAME", "JWT_SECRET").replace("OTHER", "JWT_ISSUER")).unwrap();
    let output = check_config(&dir).run().exited(2);
    output.line_about(".env");
    assert!(!output.stderr.contains("0123456789"), "{output:?}");
}

#[rstest]
#[case("EVENTS_SOURCE=/a", "/a")]
#[case(" export EVENTS_SOURCE = /a#b  # a comment, it's \"one\"", "/a#b")]
#[case("EVENTS_SOURCE='/a'  # it's", "/a")]
#[case("EVENTS_SOURCE=\"/a\"\r", "/a")]
#[case("JWT_ISSUER='it\"s \\ # $5'", "it\"s \\ # $5")]
#[case("JWT_ISSUER=\"it's \\\"one\\\" \\\\ #\"", "it's \"one\" \\ #")]
#[case("JWT_ISSUER=a=b", "a=b")]
#[case("EVENTS_SOURCE= # none", "/user-service")]
#[case("EVENTS_SOURCE=''", "/user-service")]
fn the_file_is_read_as_it_is_written(#[case] line: &str, #[case] held: &str) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(".env"), format!("\n# it's \"free\" for $5\n{line}\n")).unwrap();
    let printed = Program::new(dir.path()).args(["check-config"]).run().succeeded().stdout;
    assert!(printed.lines().any(|line| line.split_once('=').is_some_and(|(_, value)| value == held)), "{printed}");
}

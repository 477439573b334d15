//! Typing errors: every variable with characters around its value, and with invalid values.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use rstest::rstest;
use tempfile::TempDir;
use user_service::config::Config;

use crate::support::{Authority, Program, SECRET};

/// One variable: a valid value, the same in another case (empty if that is another value, or invalid), and invalid
/// values.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// Every secret in these values contains `hunter2`.
const VARIABLES: &[Row] = &[
    ("DATABASE_URL", "postgres://a:hunter2@b/c", "POSTGRES://a:hunter2@b/c", &["postgres:/a:hunter2@b/c", "users.db"]),
    ("SERVER_HOST", "localhost", "LOCALHOST", &["localhost:80", "http://localhost", "127.0.0", "0", "a..b", "[::1"]),
    ("SERVER_PORT", "8080", "", &["80a", "0x50", "65536", "8080/tcp", "8.080"]),
    ("SERVER_WORKERS", "2", "", &["two", "2.0", "513", "50%"]),
    ("GRPC_PORT", "50052", "", &["5005a", "65536"]),
    ("GRPC_MAX_STREAMS", "10", "", &["10k", "1e3"]),
    ("GRPC_PING_INTERVAL", "10s", "", TIMES),
    ("GRPC_MAX_CONNECTION_AGE", "10s", "", TIMES),
    ("MAX_CONNECTIONS", "1000", "", &["1k", "1_000", "1,000"]),
    ("MAX_HEAD_BYTES", "8192", "", &["8KiB", "8192b"]),
    ("MAX_BODY_BYTES", "8192", "", &["8k", "8MB"]),
    ("HEAD_TIMEOUT", "10s", "", TIMES),
    ("BODY_TIMEOUT", "10s", "", TIMES),
    ("RESPONSE_TIMEOUT", "10s", "", TIMES),
    ("KEEP_ALIVE", "10s", "", TIMES),
    ("RATE_LIMIT", "10", "", &["10/s", "none"]),
    ("RATE_BURST", "10", "", &["10/s", "0"]),
    (
        "CORS_ORIGINS",
        "https://a.example",
        "HTTPS://A.EXAMPLE",
        &["https:/a.example", "a.example", "https://a.example/"],
    ),
    ("TLS_CERT", "cert.pem", "", &["~/cert.pem", "$HOME/cert.pem", "sert.pem"]),
    ("TLS_KEY", "key.pem", "", &["~/key.pem", "cert.pem"]),
    ("JWT_SECRET", "hunter2-hunter2-hunter2-hunter2-", "", &["hunter2"]),
    ("JWT_PUBLIC_KEY", "public.pem", "", &["~/public.pem", "$HOME/public.pem", "cert.pem"]),
    (
        "JWKS_URL",
        "https://a.example/k?key=hunter2",
        "HTTPS://A.example/k?key=hunter2",
        &[
            "https:/a.example/k?hunter2",
            "https:a.example/hunter2",
            r"https:\\a.example\hunter2",
            "https://a.example/hunter2 x",
            "https://$ISSUER/hunter2",
            "https://a.example:0/hunter2",
            "a.example/hunter2",
        ],
    ),
    ("JWKS_REFRESH", "10s", "", TIMES),
    ("JWT_ISSUER", "https://Issuer.example", "", &[]),
    ("JWT_AUDIENCE", "Users", "", &[]),
    ("JWT_LEEWAY", "10s", "", TIMES),
    ("DB_LOOKUP_ACTORS", "2", "", &["two"]),
    ("DB_PAGE_ACTORS", "2", "", &["two"]),
    ("DB_POOL_SIZE", "10", "", &["10x", "1001"]),
    ("DB_MAILBOX", "100", "", &["1k"]),
    ("DB_MAX_WAIT", "10s", "", TIMES),
    ("DB_MAX_BATCH", "100", "", &["1k"]),
    ("DB_DEADLINE", "10s", "", TIMES),
    ("DB_CONNECT_TIMEOUT", "10s", "", TIMES),
    ("DB_AUTO_MIGRATE", "false", "False", &["fasle", "no", "0"]),
    ("USER_CACHE_BYTES", "0", "", &["16MiB", "-1", "1e6"]),
    ("MAX_STALENESS", "60s", "", TIMES),
    ("ATTRIBUTES_SCHEMA", "schema.json", "", &["~/schema.json", "$HOME/schema.json", "cert.pem"]),
    ("ATTRIBUTES_INDEXED", "department, level", "", &["a,a", "a.b", "a;b", "a,", "é"]),
    ("IDEMPOTENCY_RETENTION", "2d", "", &["2", "2D", "2x", "2M"]),
    ("IDEMPOTENCY_MAX_KEYS", "10", "", &["1k"]),
    (
        "AMQP_URL",
        "amqp://a:hunter2@b/c",
        "AMQP://a:hunter2@B/c",
        &[
            "amqp:/a:hunter2@b/c",
            "amqp://b:1#hunter2",
            "amqp://b:1?hunter2@mq/c",
            "amqp://b:1/hunter2@mq/c",
            "amqp://a:hunter2@$BROKER/c",
            "amqp://a:hunter2@b/c?connection_timeout=1",
        ],
    ),
    ("EVENTS_MAX_TRIES", "10", "", &["10x", "1001"]),
    ("EVENTS_SOURCE", "/Users", "", &["/a b", r"\users"]),
    ("EVENTS_RETENTION", "2d", "", &["2", "2D", "2x", "2M"]),
    ("EVENTS_MAX_READERS", "10", "", &["1k"]),
    ("EVENTS_PARKED_RETENTION", "2d", "", &["2", "2D", "2x", "2M"]),
    ("EVENTS_MAX_PARKED", "10", "", &["1k"]),
    ("SHUTDOWN_DELAY", "10s", "", TIMES),
    ("SHUTDOWN_GRACE", "10s", "", TIMES),
    (
        "LOG_LEVEL",
        "debug",
        "DEBUG",
        &[
            "warning",
            "notice",
            "verbose",
            "3",
            "user-service=info",
            "user_servce=info",
            "hyper=info",
            "info,hyper=wran",
            "info,hyper=",
            "info,hyper",
            "info,hyper-util=warn",
            "info,user_service =debug",
            "info,debug",
            "info,",
            "info;hyper=warn",
            "info/warn",
        ],
    ),
    ("LOG_FORMAT", "json", "JSON", &["jsno", "logfmt"]),
    ("ACCESS_LOG", "off", "Off", &["of", "none"]),
    ("SLOW_REQUEST", "10s", "", TIMES),
    ("SERVER_TIMING", "on", "ON", &["yes", "true", "1"]),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a.example", "HTTP://A.example", ENDPOINTS),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a.example/x", "HTTP://A.example/x", &["http:/a.example/x"]),
    ("OTEL_SDK_DISABLED", "false", "FALSE", &["ture", "1", "yes"]),
    ("OTEL_TRACES_EXPORTER", "otlp", "OTLP", &["otpl", "jaeger", "off"]),
    ("OTEL_TRACES_SAMPLER", "traceidratio", "TraceIdRatio", &["ratio", "always-on"]),
    ("OTEL_TRACES_SAMPLER_ARG", "0.5", "", &["50%", "half", "0,5", "5", "NaN"]),
    ("OTEL_SERVICE_NAME", "People", "", &[]),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b=2", "", &["a:1", "=1", "a=%zz"]),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2,b=2", "", &["a: hunter2", "=hunter2", "a=hunter2%zz"]),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=hunter2", "", &["a: hunter2"]),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "700", "", &["700ms", "0"]),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "700", "", &["1s"]),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "HTTP/Protobuf", &["http", "grpc"]),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf", "HTTP/Protobuf", &["http/json"]),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "none", "None", &["gzip"]),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none", "None", &["gzip"]),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "100", "", &["1k"]),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100", "", &["1k"]),
    ("OTEL_BSP_SCHEDULE_DELAY", "700", "", &["1s"]),
    ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001", "", &["127.0.0.1:9o01", "ftp://a", "a b", "a@b"]),
];

/// A unit that is missing, in another case or misspelt, and a wrong number.
const TIMES: &[&str] = &["10", "10S", "10x", "10M", "1o s", "-10s"];

const ENDPOINTS: &[&str] =
    &["a.example:4318", "http:/a.example", "http:a.example", "http://$HOST", "http://a.example/v1/traces/", "grpc://a"];

/// Reads a configuration with or without this variable, and with the variables that `name` requires.
fn read(dir: &Path, variable: Option<(&str, &str)>, name: &str) -> Result<Config, String> {
    let mut variables = HashMap::from([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b.example".to_owned())]);
    match name {
        "DATABASE_URL" => variables.extend([("JWT_SECRET", SECRET.to_owned())]),
        "TLS_CERT" | "TLS_KEY" => {
            variables.extend([("TLS_CERT", at(dir, "cert.pem")), ("TLS_KEY", at(dir, "key.pem"))]);
        }
        "RATE_BURST" => variables.extend([("RATE_LIMIT", "1".to_owned())]),
        "OTEL_EXPORTER_OTLP_ENDPOINT" => variables.clear(),
        "AWS_LAMBDA_RUNTIME_API" => {
            variables.extend([("DATABASE_URL", "postgres://a@b/c".to_owned()), ("JWT_SECRET", SECRET.to_owned())]);
        }
        _ => {}
    }
    variables.extend(variable.map(|(name, value)| (name, value.to_owned())));
    let config = Config::read(|name| variables.get(name).cloned(), true);
    config.map_err(|mistakes| Vec::from_iter(mistakes.iter().map(ToString::to_string)).join("\n"))
}

/// The path in the folder if the value is the name of a file, otherwise the value.
fn at(dir: &Path, value: &str) -> String {
    if Path::new(value).extension().is_some_and(|it| it == "pem" || it == "json") && !value.starts_with(['~', '$']) {
        dir.join(value).to_string_lossy().into_owned()
    } else {
        value.to_owned()
    }
}

/// A folder with a certificate, its key, and another public key.
fn folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    Authority::new().sign("localhost").write(dir.path());
    fs::write(dir.path().join("schema.json"), "{}").unwrap();
    fs::write(dir.path().join("public.pem"), include_str!("../keys/ed.pub.pem")).unwrap();
    dir
}

#[track_caller]
fn expect_mistake(dir: &Path, name: &str, value: &str) {
    let mistakes = read(dir, Some((name, value)), name).expect_err(&format!("{name}={value:?} is a mistake"));
    assert_eq!(mistakes.lines().count(), 1, "{name}={value:?} is one mistake: {mistakes}");
    assert!(mistakes.contains(name), "{name}={value:?}: {mistakes}");
    assert!(!mistakes.contains("hunter2"), "{name}={value:?}: {mistakes}");
}

#[test]
fn what_is_around_a_value_is_a_mistake() {
    let dir = folder();
    for (name, good, ..) in VARIABLES {
        let good = at(dir.path(), good);
        if let Err(mistakes) = read(dir.path(), Some((name, &good)), name) {
            panic!("{name}={good} is good: {mistakes}");
        }
        for (before, after) in AROUND {
            expect_mistake(dir.path(), name, &format!("{before}{good}{after}"));
        }
    }
}

/// What editors, shells, `docker --env-file` and `kubectl create secret --from-file` leave around a value.
const AROUND: [(&str, &str); 11] = [
    (" ", ""),
    ("", " "),
    ("", "\n"),
    ("", "\r\n"),
    ("\t", ""),
    ("\u{a0}", ""),
    ("\u{feff}", ""),
    ("\"", "\""),
    ("'", "'"),
    ("", "\u{1b}[0m"),
    ("-----BEGIN PUBLIC KEY-----\n", "\n-----END PUBLIC KEY-----"),
];

#[test]
fn a_wrong_value_is_a_mistake() {
    let dir = folder();
    for (name, _, _, wrong) in VARIABLES {
        for value in *wrong {
            expect_mistake(dir.path(), name, &at(dir.path(), value));
        }
    }
}

#[test]
fn an_empty_value_is_none() {
    let dir = folder();
    for (name, ..) in VARIABLES.iter().filter(|(name, ..)| !name.starts_with("TLS_")) {
        let (empty, unset) = (read(dir.path(), Some((name, "")), name), read(dir.path(), None, name));
        assert_eq!(empty.unwrap().to_string(), unset.unwrap().to_string(), "{name}");
    }
}

#[test]
fn another_case_of_what_has_none_is_the_same() {
    let dir = folder();
    for (name, good, same, _) in VARIABLES.iter().filter(|(_, _, same, _)| !same.is_empty()) {
        let [good, same] = [good, same].map(|value| {
            read(dir.path(), Some((name, value)), name).unwrap_or_else(|mistakes| panic!("{name}={value}: {mistakes}"))
        });
        // `env_logger` receives the levels unchanged.
        assert_eq!(format!("{good:?}").to_lowercase(), format!("{same:?}").to_lowercase(), "{name}");
    }
}

#[rstest]
#[case("LOG_LEVEL", "off")]
#[case("LOG_LEVEL", "warn,user_service=debug")]
#[case("LOG_LEVEL", "warn,user_service::http=info")]
#[case("LOG_LEVEL", "user_service, hyper=off")]
#[case("LOG_LEVEL", "INFO,h2::proto=WARN/timed? out")]
#[case("KEEP_ALIVE", "1m 30s")]
#[case("SHUTDOWN_DELAY", "0s")]
#[case("SERVER_HOST", "::1")]
#[case("SERVER_HOST", "[::1]")]
#[case("SERVER_HOST", "0.0.0.0")]
#[case("SERVER_HOST", "a-b.example.")]
#[case("CORS_ORIGINS", "*")]
#[case("CORS_ORIGINS", "https://a.example, http://localhost:5173")]
#[case("JWKS_URL", "http://[::1]:8080/keys")]
#[case("AMQP_URL", "amqp://mq")]
#[case("AMQP_URL", "amqps://a:hunter%40@mq.example.com:5671/%2f?heartbeat=30&auth_mechanism=PLAIN")]
#[case("OTEL_RESOURCE_ATTRIBUTES", "a=1, b=%2C")]
#[case("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/otlp/")]
#[case("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9000/.rt")]
#[case("JWT_SECRET", "' $PATH ~ %20 \" ?a=b&c=d # / \\ ü")]
fn what_can_be_meant_is_taken(#[case] name: &str, #[case] value: &str) {
    if let Err(mistakes) = read(folder().path(), Some((name, value)), name) {
        panic!("{name}={value}: {mistakes}");
    }
}

/// The real program reports all mistakes at once, and exits with 2.
#[rstest]
#[case(" ", "")]
#[case("", "\n")]
#[case("\"", "\"")]
fn every_slip_is_told_in_one_run(#[case] before: &str, #[case] after: &str) {
    let dir = folder();
    // If the variable for traces is set, the general one has no effect.
    let rows = Vec::from_iter(VARIABLES.iter().filter(|(name, ..)| !name.starts_with("OTEL_EXPORTER_OTLP_TRACES_")));
    let program = rows.iter().fold(Program::new(dir.path()).args(["check-config"]), |program, (name, good, ..)| {
        program.env(name, format!("{before}{good}{after}"))
    });
    let output = program.run().exited(2);
    for (name, ..) in &rows {
        let about = output.stderr.lines().filter(|line| line.starts_with(&format!("{name}="))).count();
        assert_eq!(about, 1, "one line about {name} in {}", output.stderr);
    }
    assert_eq!(output.stderr.lines().count(), rows.len(), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
}

/// The variables that the code reads, those in `docs/configuration.md`, and those tested here are the same.
#[test]
fn no_variable_is_forgotten() {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://a.example".to_owned())
    };
    Config::read(lookup, true).unwrap();
    let tried = BTreeSet::from_iter(VARIABLES.iter().map(|(name, ..)| (*name).to_owned()));
    assert_eq!(asked.into_inner(), tried);
    assert_eq!(documented(), tried);
}

fn documented() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let document = fs::read_to_string(path).expect("docs/configuration.md");
    let cells = document.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names =
        cells.flat_map(|cell| cell.split('`').filter(|name| name.starts_with(|it: char| it.is_ascii_uppercase())));
    names.map(ToOwned::to_owned).collect()
}

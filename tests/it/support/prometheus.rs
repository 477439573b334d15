use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

use super::program::Output;
use super::{planned_port, query_string, until};

/// Intervals in the configuration, and shorter ones for tests.
const FASTER: [(&str, &str); 2] =
    [("scrape_interval: 15s", "scrape_interval: 1s"), ("evaluation_interval: 15s", "evaluation_interval: 1s")];

/// How often `start` is tried: another process may take the port first.
const ATTEMPTS: usize = 5;

/// The target in `deploy/prometheus`.
const TARGET: &str = "127.0.0.1:3000";

/// A file of this repository.
pub fn file_of(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs `promtool` in `deploy/prometheus`.
pub fn promtool(args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new("promtool");
    command.args(args).current_dir(file_of("deploy/prometheus"));
    let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    // `promtool` may end without reading its input.
    let _ = child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("promtool ends");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

/// A Prometheus with the configuration in `deploy/prometheus`. It ends with the test.
pub struct Prometheus {
    process: Child,
    dir: TempDir,
    url: String,
    http: Client,
}

impl Prometheus {
    /// Scrapes the service at this address every second.
    pub async fn scraping(address: &str) -> Self {
        let mut attempts = 1;
        loop {
            let mut prometheus = Self::start(address);
            if prometheus.ready().await {
                return prometheus;
            }
            let log = prometheus.log();
            let was_taken = log.contains("address already in use");
            assert!(was_taken && attempts < ATTEMPTS, "Prometheus does not start: {log}");
            attempts += 1;
        }
    }

    fn start(address: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        configure(dir.path(), address);
        let own = format!("127.0.0.1:{}", planned_port());
        let mut command = Command::new("prometheus");
        command.current_dir(dir.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address={own}")).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(dir.path().join("log")).expect("a log"));
        let process = spawn(&mut command);
        let http = super::http().timeout(Duration::from_secs(30)).build().expect("an HTTP client");
        Self { process, dir, url: format!("http://{own}"), http }
    }

    /// Waits until Prometheus is ready. Returns false if the process has ended. The log must confirm it, because
    /// another process may have taken the port and answer.
    async fn ready(&mut self) -> bool {
        let url = format!("{}/-/ready", self.url);
        let mut has_ended = false;
        until("Prometheus is ready", Duration::from_mins(1), async || {
            has_ended = self.process.try_wait().expect("the status of Prometheus").is_some();
            let answers = self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
            has_ended || answers && self.log().contains("Server is ready to receive web requests")
        })
        .await;
        !has_ended
    }

    /// The samples of an instant query.
    pub async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.get("query", &[("query", expression)]).await;
        data["result"].as_array().unwrap_or_else(|| panic!("no vector: {expression}: {data}")).clone()
    }

    /// Whether a query has a result other than NaN.
    pub async fn has_data(&self, expression: &str) -> bool {
        self.query(expression).await.iter().any(|sample| sample["value"][1].as_str().is_some_and(|it| it != "NaN"))
    }

    /// The `data` of an answer of the API.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{path}?{}", self.url, query_string(query));
        let answer = self.http.get(&url).send().await.unwrap_or_else(|error| panic!("{error:?}: {}", self.log()));
        let mut body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["status"], "success", "{query:?}: {body}");
        body["data"].take()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configure(dir: &Path, address: &str) {
    for rules in ["rules.yml", "alerts.yml"] {
        fs::copy(file_of("deploy/prometheus").join(rules), dir.join(rules)).expect("the rules");
    }
    let mut config = fs::read_to_string(file_of("deploy/prometheus/prometheus.yml")).expect("the configuration");
    for (text, instead) in FASTER.into_iter().chain([(TARGET, address)]) {
        assert_eq!(config.matches(text).count(), 1, "{text} occurs once in {config}");
        config = config.replace(text, instead);
    }
    fs::write(dir.join("prometheus.yml"), config).expect("the configuration");
}

fn spawn(command: &mut Command) -> Child {
    let program = command.get_program().to_owned();
    let install = "is it installed? scripts/test does that, or on Debian: apt-get install prometheus";
    command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}; {install}", program.display()))
}

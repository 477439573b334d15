use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The secret with which the service checks tokens.
pub(crate) const SECRET: &str = "for load tests only: 0123456789abcdef";

const START: Duration = Duration::from_mins(1);

/// The real service on a fresh SQLite database.
pub(crate) struct Service {
    child: Child,
    /// Host and port.
    address: String,
    grpc_address: String,
    _folder: TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(vars: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(program());
        command.env_clear().current_dir(&folder).envs([
            ("JWT_SECRET", SECRET),
            ("SERVER_PORT", "0"),
            ("GRPC_PORT", "0"),
        ]);
        command.envs(vars.iter().copied()).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the service starts");
        let (found, addresses) = channel();
        let stderr = child.stderr.take().expect("stderr is piped");
        // Reads to the end, so that the service never waits for its log.
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let http = line.split_once("listening on http://").map(|(_, rest)| rest);
                if let Some(rest) = line.split_once("gRPC on ").map(|(_, rest)| rest).or(http) {
                    let end = rest.find(|char: char| !(char.is_ascii_digit() || ".:".contains(char)));
                    let _ = found.send(rest[..end.unwrap_or(rest.len())].to_owned());
                }
            }
        });
        // The service logs them in this order.
        let [grpc_address, address] = [(); 2].map(|()| addresses.recv_timeout(START).expect("an address in the log"));
        let service = Self { child, address, grpc_address, _folder: folder };
        let deadline = Instant::now() + START;
        while !service.get("/ready").starts_with("HTTP/1.1 200") {
            assert!(Instant::now() < deadline, "the service is not ready within a minute");
            thread::sleep(Duration::from_millis(10));
        }
        service
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc_address)
    }

    /// Sends `STOP`, `CONT` and the like.
    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        assert!(kill.arg(format!("-{name}")).arg(self.child.id().to_string()).status().expect("kill").success());
    }

    /// A counter, or the sum of one over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics");
        let lines = text.lines().filter(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']));
        lines.map(|line| line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")).sum()
    }

    /// How many users there are.
    pub(crate) fn users(&self) -> u64 {
        let made = ["users_created_total", "users_deleted_total"].map(|name| self.metric(name));
        (made[0] - made[1]).to_string().parse().expect("a count")
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `cargo test --workspace` builds the service into the same folder as the load tester.
fn program() -> PathBuf {
    let built = std::env::var_os("TEST_PROGRAM").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_BIN_EXE_user-service-loadtest")).with_file_name("user-service");
    let program = built.unwrap_or_else(beside);
    assert!(program.exists(), "{} is missing: run `cargo test --workspace`", program.display());
    program
}

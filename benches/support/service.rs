use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::client;
use super::database::Database;
use super::trial::Server;

const START: Duration = Duration::from_secs(20);

/// The service as it ships: the real program with its default configuration, except for what a bench varies. It is
/// killed when dropped.
pub(crate) struct Service {
    // Created first, so that the process is killed even if a later step fails.
    process: Process,
    /// The addresses of gRPC and HTTP, in the order of the log.
    pub(crate) addresses: [SocketAddr; 2],
}

impl Service {
    /// Starts the service, and returns when it is ready.
    pub(crate) fn start(database: &Database, variables: &[(&str, &str)]) -> Self {
        let mut program = database.program();
        program.env("SERVER_PORT", "0").env("GRPC_PORT", "0").envs(variables.iter().copied()).stderr(Stdio::piped());
        let mut process = Process(program.spawn().expect("the program starts"));
        let log = process.0.stderr.take().expect("stderr is piped");
        let (found, address) = channel();
        thread::spawn(move || follow(log, &found));
        let addresses = [(); 2].map(|()| address.recv_timeout(START).expect("the service listens"));
        let service = Self { process, addresses };
        service.wait_until_ready();
        service
    }

    fn wait_until_ready(&self) {
        let give_up = Instant::now() + START;
        while !client::get(self.address(), "/ready").is_ok_and(|answer| answer.status == 200) {
            assert!(Instant::now() < give_up, "process {} is not ready", self.process.0.id());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Server for Service {
    fn address(&self) -> SocketAddr {
        let [_, http] = self.addresses;
        http
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads the log to its end, so that the service never blocks on output. Prints warnings and errors.
fn follow(log: impl Read, address: &Sender<SocketAddr>) {
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        let listening = line.split_once("listening on http://").or_else(|| line.split_once("gRPC on "));
        if let Some(found) = listening.and_then(|(_, rest)| rest.split(';').next()?.parse().ok()) {
            let _ = address.send(found);
        } else if line.contains("WARN") || line.contains("ERROR") {
            eprintln!("{line}");
        }
    }
}

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{Server, file_of, planned_port, until};

/// How often `start` is tried: another process may take the port first.
const ATTEMPTS: usize = 5;

/// `HAProxy` with the configuration in `deploy/haproxy`, in front of one replica. It ends with the test.
pub struct HaProxy {
    process: Child,
    dir: TempDir,
    address: String,
    grpc_address: String,
}

impl HaProxy {
    /// Starts `HAProxy`, which opens at most `maxconn` connections to the replica's REST port.
    pub async fn before(server: &Server, maxconn: usize) -> Self {
        let mut attempts = 1;
        loop {
            let mut haproxy = Self::start(server, maxconn);
            if haproxy.is_up_in_time().await {
                return haproxy;
            }
            let log = haproxy.log();
            assert!(log.contains("cannot bind") && attempts < ATTEMPTS, "HAProxy does not start: {log}");
            attempts += 1;
        }
    }

    fn start(server: &Server, maxconn: usize) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let [address, grpc_address] = [(); 2].map(|()| format!("127.0.0.1:{}", planned_port()));
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file_of("deploy/haproxy/haproxy.cfg")).stdin(Stdio::null());
        command.env("LISTEN", &address).env("LISTEN_GRPC", &grpc_address);
        command.env("ADMIN_SOCKET", dir.path().join("admin.sock")).env("MAXCONN", maxconn.to_string());
        command.env("USER_SERVICE_1", server.address()).env("USER_SERVICE_1_GRPC", server.grpc_address());
        let log = File::create(dir.path().join("log")).expect("a log");
        command.stdout(Stdio::null()).stderr(log);
        let install = "is it installed? scripts/test does that, or on Debian: apt-get install haproxy";
        let process = command.spawn().unwrap_or_else(|error| panic!("cannot start haproxy: {error}; {install}"));
        Self { process, dir, address, grpc_address }
    }

    /// Waits until `HAProxy` has found the replica. Returns false if the process has ended.
    async fn is_up_in_time(&mut self) -> bool {
        let mut has_ended = false;
        until("HAProxy has found the replica", Duration::from_secs(20), async || {
            has_ended = self.process.try_wait().expect("the status of HAProxy").is_some();
            has_ended || self.dir.path().join("admin.sock").exists() && self.fact("rest", "check_status") == "L7OK"
        })
        .await;
        !has_ended
    }

    /// Host and port of REST.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Host and port of gRPC.
    pub fn grpc_address(&self) -> &str {
        &self.grpc_address
    }

    /// A field of the replica in the statistics of a backend.
    pub fn fact(&self, backend: &str, name: &str) -> String {
        let mut admin = UnixStream::connect(self.dir.path().join("admin.sock")).expect("the admin socket accepts");
        admin.write_all(b"show stat -1 4 -1\n").expect("HAProxy reads");
        let mut table = String::new();
        admin.read_to_string(&mut table).expect("a table");
        let mut lines = table.trim_start_matches("# ").lines().map(|line| line.split(','));
        let names = Vec::from_iter(lines.next().expect("names"));
        let mut rows = lines.map(|row| HashMap::<_, _>::from_iter(names.iter().copied().zip(row)));
        let replica = rows.find(|row| row.get("pxname") == Some(&backend)).expect("the replica");
        replica.get(name).unwrap_or_else(|| panic!("no {name} in {table}")).to_string()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

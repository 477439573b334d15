use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use diesel::{Connection, PgConnection};
use tempfile::TempDir;

use super::{Connection as Beside, planned_port, signal, until};

/// A PostgreSQL that a test may stop, freeze and start again.
pub struct Postgres {
    dir: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Postgres {
    /// Where it will be; nothing runs there yet.
    pub fn planned() -> Self {
        Self { dir: TempDir::new().expect("a temporary folder"), port: planned_port(), process: None }
    }

    pub async fn started() -> Self {
        let mut postgres = Self::planned();
        postgres.start().await;
        postgres
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub async fn start(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres");
        let mut command = Command::new(script);
        command.arg(self.dir.path()).arg(self.port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("scripts/postgres starts"));
        let url = self.url();
        until("PostgreSQL accepts connections", Duration::from_mins(1), async || PgConnection::establish(&url).is_ok())
            .await;
    }

    /// Takes it away at once, as a crash does.
    pub fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal::send("QUIT", process.id());
            process.wait().expect("PostgreSQL ends");
        }
    }

    /// A connection beside the service's.
    pub fn connect(&self) -> Beside {
        Beside::postgres(&self.url())
    }

    /// The service's backends that are in such a state.
    pub fn backends(&self, state: &str) -> Vec<u32> {
        let facts = self.connect().facts(&format!(
            "SELECT pid::text AS fact FROM pg_stat_activity WHERE application_name = 'user-service' AND {state}"
        ));
        facts.iter().map(|pid| pid.parse().expect("a process")).collect()
    }

    /// One backend's socket stays open and nothing answers on it. It may have ended just now.
    pub fn stop(&self, backend: u32) {
        signal::send("STOP", backend);
    }

    pub fn resume(&self, backend: u32) {
        signal::send("CONT", backend);
    }

    pub fn stop_all(&self, backends: &[u32]) {
        for backend in backends {
            self.stop(*backend);
        }
    }

    pub fn resume_all(&self, backends: &[u32]) {
        for backend in backends {
            self.resume(*backend);
        }
    }

    /// Its sockets stay open and nothing answers on them.
    pub fn freeze(&self) {
        self.signal_all("STOP");
    }

    pub fn thaw(&self) {
        self.signal_all("CONT");
    }

    /// A backend is a process group of its own, so each one is sent the signal by itself. It may have ended just now.
    fn signal_all(&self, name: &str) {
        let postmaster = self.process.as_ref().expect("PostgreSQL runs").id();
        signal::send(name, postmaster);
        for backend in children(postmaster) {
            signal::send(name, backend);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.thaw();
            self.crash();
        }
    }
}

fn children(parent: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|process| parent_of(*process) == Some(parent)).collect()
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the state and the parent follow it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

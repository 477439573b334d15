use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use diesel::{Connection, PgConnection};
use tempfile::TempDir;

use super::{Connection as Client, planned_port, signal, until};

/// A PostgreSQL server that a test can stop, freeze and start again.
pub struct Postgres {
    dir: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Postgres {
    /// A server that is not started yet.
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

    /// A standby of this server. It is read-only until it is promoted.
    pub async fn standby(&self) -> Self {
        let mut standby = Self::planned();
        // PostgreSQL refuses a data folder that others can read.
        fs::set_permissions(standby.dir.path(), Permissions::from_mode(0o700)).expect("the folder's mode");
        let folder = standby.dir.path().to_str().expect("a readable name");
        let copy = [programs() + "/pg_basebackup", "-d".into(), self.url(), "-D".into(), folder.into()];
        run_as_servers_user(
            standby.dir.path(),
            copy.into_iter().chain(["-R", "-c", "fast", "--no-sync"].map(Into::into)),
        );
        standby.start().await;
        standby
    }

    /// Promotes a standby to a primary.
    pub fn promote(&self) {
        self.connect().run("SELECT pg_promote()");
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub async fn start(&mut self) {
        let mut command = script();
        // Without fsync, data still survives the end of the server, if not of the machine.
        command.env("POSTGRES_OPTIONS", "-c fsync=off");
        command.arg(self.dir.path()).arg(self.port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("scripts/postgres starts"));
        let url = self.url();
        until("PostgreSQL accepts connections", Duration::from_mins(1), async || PgConnection::establish(&url).is_ok())
            .await;
    }

    /// Ends the server in order: it rolls back transactions and notifies clients.
    #[allow(dead_code, reason = "of two test programs that share these files, one uses it")]
    pub fn shut_down(&mut self) {
        self.end("INT");
    }

    /// Ends the server at once, as a crash does.
    pub fn crash(&mut self) {
        self.end("QUIT");
    }

    fn end(&mut self, name: &str) {
        if let Some(mut process) = self.process.take() {
            signal::send(name, process.id());
            process.wait().expect("PostgreSQL ends");
        }
    }

    /// A test's own connection.
    pub fn connect(&self) -> Client {
        Client::postgres(&self.url())
    }

    /// The service's backends that match a condition on `pg_stat_activity`.
    pub fn backends(&self, state: &str) -> Vec<u32> {
        let facts = self.connect().facts(&format!(
            "SELECT pid::text AS fact FROM pg_stat_activity WHERE application_name = 'user-service' AND {state}"
        ));
        facts.iter().map(|pid| pid.parse().expect("a process")).collect()
    }

    /// Stops one backend: its socket stays open, and nothing answers. The backend may have ended just now.
    pub fn stop(backend: u32) {
        signal::send("STOP", backend);
    }

    pub fn resume(backend: u32) {
        signal::send("CONT", backend);
    }

    pub fn stop_all(backends: &[u32]) {
        for backend in backends {
            Self::stop(*backend);
        }
    }

    pub fn resume_all(backends: &[u32]) {
        for backend in backends {
            Self::resume(*backend);
        }
    }

    /// Freezes the server: its sockets stay open, and nothing answers.
    pub fn freeze(&self) {
        self.signal_all("STOP");
    }

    pub fn thaw(&self) {
        self.signal_all("CONT");
    }

    /// Signals the server and each backend, because each backend is its own process group. A backend may have ended
    /// just now.
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

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres"))
}

/// The folder of the server's programs.
fn programs() -> String {
    let output = script().arg("--programs").output().expect("scripts/postgres starts");
    String::from_utf8(output.stdout).expect("a readable name").trim().to_owned()
}

/// Runs a program as the user of the server in `scripts/postgres`, and makes that user the owner of a folder.
fn run_as_servers_user(folder: &Path, words: impl Iterator<Item = String>) {
    let is_root = fs::metadata("/proc/self").expect("/proc").uid() == 0;
    let mut command = if is_root {
        let own = Command::new("chown").arg("postgres:").arg(folder).status().expect("chown");
        assert!(own.success(), "chown: {own}");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command
    } else {
        Command::new("env")
    };
    let output = command.args(words).current_dir("/").output().expect("a program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn children(parent: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|process| parent_of(*process) == Some(parent)).collect()
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may contain anything. The state and the parent follow it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

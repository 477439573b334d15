use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::support::{http, until};

/// A node's number, from 1.
pub type Node = usize;

const NODES: Node = 3;
/// Longer than Patroni waits for a leader (`ttl`, at least 20 s) and a node needs to come back.
const RECOVERY: Duration = Duration::from_mins(3);

/// Three nodes of PostgreSQL under Patroni and etcd, which `scripts/patroni` runs.
pub struct Patroni {
    script: Arc<Mutex<Script>>,
    http: reqwest::Client,
    network: String,
    url: String,
    /// Dropped after the script.
    dir: TempDir,
}

/// The script, whose standard input takes commands. Everything ends with that input.
struct Script {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Patroni {
    pub async fn start() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        // The nodes run as another user.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).expect("the folder's mode");
        let script = Script::start(dir.path());
        let (script, line) = spawn_blocking(|| {
            let mut script = script;
            let line = script.answer();
            (script, line)
        })
        .await
        .expect("scripts/patroni starts");
        let network = line.strip_prefix("network ").unwrap_or_else(|| panic!("scripts/patroni: {line}")).to_owned();
        let hosts = Vec::from_iter((1..=NODES).map(|node| format!("{network}.{node}:5432")));
        let url = format!("postgres://postgres@{}/postgres?target_session_attrs=read-write", hosts.join(","));
        let http = http().timeout(Duration::from_secs(2)).build().expect("an HTTP client");
        let patroni = Self { script: Arc::new(Mutex::new(script)), http, network, url, dir };
        patroni.whole().await;
        patroni
    }

    /// Names all nodes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What Patroni and PostgreSQL have logged on each node.
    pub fn log(&self) -> String {
        let read = |node| fs::read(self.dir.path().join(format!("{node}/patroni.log"))).expect("a node's log");
        let titled = |node| format!("\n=== node {node} ===\n{}", String::from_utf8_lossy(&read(node)));
        Vec::from_iter((1..=NODES).map(titled)).concat()
    }

    /// Has the script execute a command.
    pub async fn tell(&self, command: String) {
        let script = Arc::clone(&self.script);
        let execute = move || {
            let mut script = script.lock().unwrap();
            writeln!(script.commands.as_mut().expect("the input"), "{command}").expect("scripts/patroni reads");
            assert_eq!(script.answer(), "done", "{command}");
        };
        spawn_blocking(execute).await.expect("a command of scripts/patroni");
    }

    /// Waits until another node is the leader.
    pub async fn succeeded(&self, old: Node) {
        until("another node is the leader", RECOVERY, async || {
            sleep(Duration::from_millis(200)).await;
            for node in (1..=NODES).filter(|node| *node != old) {
                if self.state(node).await.is_some_and(|state| is_leader(&state)) {
                    return true;
                }
            }
            false
        })
        .await;
    }

    /// Waits until one leader has two standbys; returns it and the synchronous one.
    pub async fn whole(&self) -> (Node, Node) {
        let mut pair = None;
        until("the cluster is whole", RECOVERY, async || {
            sleep(Duration::from_millis(200)).await;
            pair = self.find_pair().await;
            pair.is_some()
        })
        .await;
        pair.expect("a whole cluster")
    }

    /// The leader and its synchronous standby, if all nodes run and agree.
    async fn find_pair(&self) -> Option<(Node, Node)> {
        let mut states = Vec::new();
        for node in 1..=NODES {
            states.push(self.state(node).await.filter(|state| state["state"] == "running")?);
        }
        let leader = states.iter().position(is_leader)?;
        let timeline = &states[leader]["timeline"];
        let standbys = states[leader]["replication"].as_array()?;
        let are_following = standbys.len() == NODES - 1 && standbys.iter().all(|it| it["state"] == "streaming");
        let are_even = states.iter().all(|state| state["timeline"] == *timeline);
        let is_only = states.iter().filter(|state| is_leader(state)).count() == 1;
        let is_synchronous = |node: &usize| states[*node]["sync_standby"] == true;
        let standby = (0..NODES).find(is_synchronous)?;
        let name = (standby + 1).to_string();
        let is_waited_for =
            standbys.iter().any(|it| it["application_name"] == name.as_str() && it["sync_state"] == "sync");
        (is_only && are_following && are_even && is_waited_for).then_some((leader + 1, standby + 1))
    }

    /// What a node's Patroni says of it.
    async fn state(&self, node: Node) -> Option<Value> {
        let url = format!("http://{}.{node}:8008/patroni", self.network);
        self.http.get(url).send().await.ok()?.json().await.ok()
    }
}

fn is_leader(state: &Value) -> bool {
    state["role"] == "master" && state["state"] == "running"
}

impl Script {
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/patroni"));
        command.arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("scripts/patroni starts");
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("its output"));
        Self { process, commands, answers }
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("scripts/patroni answers");
        line.trim_end().to_owned()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.process.wait();
    }
}

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use diesel::{Connection as _, PgConnection};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::faults::clock;
use crate::patroni::Patroni;
use crate::proxy::Proxy;
use crate::replica::Replica;
use crate::support::{Connection, Database, Db, Postgres, Program, Vhost, http, now, token, until};

/// What runs, and on what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    TwoReplicas,
    ThreeReplicas,
    /// `DATABASE_URL` names the primary and its standby.
    FailoverHosts,
    /// `DATABASE_URL` names one address, which moves.
    FailoverAddress,
    /// `DATABASE_URL` names three hosts, of which Patroni chooses the primary.
    Patroni,
}

/// The service, its database and its broker.
pub struct World {
    pub kind: Kind,
    pub replicas: Vec<Replica>,
    pub store: Store,
    pub vhost: Vhost,
    /// Good for longer than the clock jumps.
    pub token: String,
    /// While it is set, clients break off some of their calls.
    pub hang_ups: AtomicBool,
    /// The offset that libfaketime reads.
    pub clock: TempDir,
}

pub enum Store {
    Sqlite(Database),
    Postgres(Cluster),
    Patroni(Patroni),
}

/// A PostgreSQL behind a proxy, and its standby.
pub struct Cluster {
    pub primary: Mutex<Postgres>,
    pub standby: Mutex<Option<Postgres>>,
    /// That of the address that `DATABASE_URL` names; of two hosts both.
    pub proxies: Vec<Proxy>,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Sqlite,
        Self::Postgres,
        Self::TwoReplicas,
        Self::ThreeReplicas,
        Self::FailoverHosts,
        Self::FailoverAddress,
        Self::Patroni,
    ];
    pub const SHORT: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::TwoReplicas => "replicas-2",
            Self::ThreeReplicas => "replicas-3",
            Self::FailoverHosts => "failover-hosts",
            Self::FailoverAddress => "failover-address",
            Self::Patroni => "patroni",
        }
    }

    fn replicas(self) -> usize {
        match self {
            Self::Sqlite | Self::Postgres => 1,
            Self::TwoReplicas | Self::FailoverHosts | Self::FailoverAddress | Self::Patroni => 2,
            Self::ThreeReplicas => 3,
        }
    }

    /// How many batches of look-ups a process may have under way: one, unless `DB_LOOKUP_ACTORS` says otherwise. Only of
    /// several can one be overtaken by another.
    fn lookup_actors(self) -> usize {
        if self == Self::TwoReplicas { 4 } else { 1 }
    }

    /// `MAX_STALENESS` of its replicas, in milliseconds.
    pub fn max_staleness(self) -> u64 {
        if self == Self::ThreeReplicas { 300 } else { 0 }
    }

    /// Whether it needs no more than the other worlds: neither root nor other packages.
    pub fn is_usual(self) -> bool {
        self != Self::Patroni
    }

    pub fn has_a_standby(self) -> bool {
        matches!(self, Self::FailoverHosts | Self::FailoverAddress)
    }
}

impl World {
    /// `clock_jumps`: whether the service is to run under libfaketime.
    pub async fn start(kind: Kind, clock_jumps: bool) -> Arc<Self> {
        let (vhost, folder) = (Vhost::fresh(), TempDir::new().expect("a temporary folder"));
        let (store, url) = match kind {
            Kind::Sqlite => {
                let database = Db::Sqlite.fresh();
                let url = database.url().to_owned();
                (Store::Sqlite(database), url)
            }
            Kind::Patroni => {
                let patroni = Patroni::start().await;
                let url = patroni.url().to_owned();
                (Store::Patroni(patroni), url)
            }
            _ => {
                let cluster = Cluster::start(kind).await;
                let url = cluster.url();
                (Store::Postgres(cluster), url)
            }
        };
        let mut replicas = Vec::new();
        for _ in 0..kind.replicas() {
            let (amqp_url, url) = (vhost.url().to_owned(), url.clone());
            let dir = TempDir::new().expect("a temporary folder");
            let clock = if clock_jumps { clock::vars(folder.path()) } else { Vec::new() };
            let program = move || {
                let program = Program::new(dir.path()).env("DATABASE_URL", &url).env("AMQP_URL", &amqp_url);
                let program = program.env("DB_LOOKUP_ACTORS", kind.lookup_actors().to_string());
                let program = program.env("MAX_STALENESS", format!("{}ms", kind.max_staleness()));
                clock.iter().fold(program, |program, (name, value)| program.env(name, value))
            };
            replicas.push(Replica::start(program).await);
        }
        let token = token(&json!({ "sub": "tests", "scope": "users:read users:write", "exp": now() + 7 * 24 * 3600 }));
        Arc::new(Self { kind, replicas, store, vhost, token, hang_ups: AtomicBool::new(false), clock: folder })
    }

    /// Waits until every replica says that it is ready.
    pub async fn ready(&self) {
        let http = http().timeout(Duration::from_secs(2)).build().expect("an HTTP client");
        for replica in &self.replicas {
            until("a replica is ready after the faults", Duration::from_mins(1), async || {
                let url = format!("http://{}/ready", replica.addresses().rest);
                http.get(url).send().await.is_ok_and(|response| response.status() == 200)
            })
            .await;
        }
    }

    /// A connection of an operator's, beside the service's. `None` while there is no database to connect to.
    pub async fn operator(&self) -> Option<Connection> {
        match &self.store {
            Store::Sqlite(database) => Some(database.connect()),
            Store::Postgres(cluster) => {
                let url = cluster.primary.lock().await.url();
                let connected = spawn_blocking(move || PgConnection::establish(&url)).await;
                connected.expect("an attempt to connect").ok().map(Connection::Postgres)
            }
            Store::Patroni(_) => None,
        }
    }

    /// Works on a connection to the database, beside the service's, without keeping other tasks waiting.
    pub async fn beside<T: Send + 'static>(&self, work: impl FnOnce(&mut Connection) -> T + Send + 'static) -> T {
        match &self.store {
            Store::Sqlite(database) => {
                let mut connection = database.connect();
                spawn_blocking(move || work(&mut connection)).await
            }
            Store::Postgres(cluster) => {
                let url = cluster.primary.lock().await.url();
                spawn_blocking(move || work(&mut Connection::postgres(&url))).await
            }
            Store::Patroni(patroni) => {
                let url = patroni.url().to_owned();
                spawn_blocking(move || work(&mut Connection::postgres(&url))).await
            }
        }
        .expect("the work beside the service")
    }

    pub fn postgres(&self) -> &Cluster {
        match &self.store {
            Store::Postgres(cluster) => cluster,
            _ => panic!("a fault of PostgreSQL"),
        }
    }

    pub fn patroni(&self) -> &Patroni {
        match &self.store {
            Store::Patroni(patroni) => patroni,
            _ => panic!("a fault of Patroni"),
        }
    }

    /// What all replicas have logged, and the nodes of Patroni.
    pub fn log(&self) -> String {
        let logs = Vec::from_iter(self.replicas.iter().map(Replica::log));
        let nodes = if let Store::Patroni(patroni) = &self.store { patroni.log() } else { String::new() };
        logs.join("\n=== another replica ===\n") + &nodes
    }
}

impl Cluster {
    async fn start(kind: Kind) -> Self {
        let primary = Postgres::started().await;
        let mut proxies = vec![Proxy::before(primary.address()).await];
        let mut standby = None;
        if kind.has_a_standby() {
            let follower = replicate(&primary).await;
            if kind == Kind::FailoverHosts {
                proxies.push(Proxy::before(follower.address()).await);
            }
            standby = Some(follower);
        }
        Self { primary: Mutex::new(primary), standby: Mutex::new(standby), proxies }
    }

    /// What the service is to connect to.
    fn url(&self) -> String {
        let hosts = Vec::from_iter(self.proxies.iter().map(|proxy| format!("127.0.0.1:{}", proxy.port())));
        let attributes = if hosts.len() > 1 { "?target_session_attrs=read-write" } else { "" };
        format!("postgres://postgres@{}/postgres{attributes}", hosts.join(","))
    }
}

/// Makes a standby that the primary's commits wait for.
pub async fn replicate(primary: &Postgres) -> Postgres {
    let standby = timeout(Duration::from_mins(2), primary.standby()).await.expect("a standby");
    let mut admin = primary.connect();
    admin.run("ALTER SYSTEM SET synchronous_standby_names = '*'");
    admin.run("SELECT pg_reload_conf()");
    until("the standby is synchronous", Duration::from_mins(1), async || {
        admin.facts("SELECT sync_state::text AS fact FROM pg_stat_replication") == ["sync"]
    })
    .await;
    standby
}

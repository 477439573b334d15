use std::error::Error;
use std::fmt;
use std::process::{Command, Stdio};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

use super::token;

#[derive(Clone, Copy)]
pub(crate) enum Db {
    Sqlite,
    Postgres,
}

impl Db {
    /// SQLite, and PostgreSQL if the environment names a server.
    pub(crate) fn available() -> Vec<Self> {
        if postgres_url().is_some() {
            return vec![Self::Sqlite, Self::Postgres];
        }
        eprintln!("PostgreSQL is left out: BENCH_POSTGRES_URL does not say where one is (scripts/postgres runs one)");
        vec![Self::Sqlite]
    }
}

impl fmt::Display for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

fn postgres_url() -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
    set("BENCH_POSTGRES_URL").or_else(|| set("TEST_POSTGRES_URL"))
}

/// A migrated database with some users, deleted when dropped.
pub(crate) struct Database {
    url: String,
    dir: TempDir,
    created: Option<Created>,
}

impl Database {
    pub(crate) fn new(db: Db, users: u64) -> Self {
        // Not the system's temporary folder, which may be in memory, where a write needs no disk.
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
        let created = match db {
            Db::Sqlite => None,
            Db::Postgres => Some(Created::new()),
        };
        let url = match &created {
            Some(created) => created.url.to_string(),
            None => format!("sqlite://{}", dir.path().join("users.db").display()),
        };
        let database = Self { url, dir, created };
        database.fill(users);
        database
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The service's program with this database, and an environment that contains nothing of this machine.
    pub(super) fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_user-service"));
        program.env_clear().env("DATABASE_URL", &self.url).env("JWT_SECRET", token::SECRET);
        program.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        program
    }

    fn fill(&self, users: u64) {
        let mut program = self.program();
        if users == 0 {
            program.arg("migrate");
        } else {
            program.args(["seed", "--count", &users.to_string()]);
        }
        assert!(program.status().expect("the program starts").success(), "{program:?}");
        if let Some(created) = &self.created {
            // The state of a database in use. Otherwise an automatic vacuum would start during a trial.
            execute(created.url.as_str(), "VACUUM ANALYZE");
        }
    }
}

/// A database created on the named PostgreSQL server.
struct Created {
    server: String,
    name: String,
    url: Url,
}

impl Created {
    fn new() -> Self {
        let server = postgres_url().expect("BENCH_POSTGRES_URL");
        let name = format!("user_service_bench_{}", Uuid::new_v4().simple());
        let mut url = Url::parse(&server).expect("BENCH_POSTGRES_URL is a URL");
        url.set_path(&name);
        execute(&server, &format!("CREATE DATABASE {name}"));
        Self { server, name, url }
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        if let Err(error) = try_execute(&self.server, &statement) {
            eprintln!("{statement}: {error}");
        }
    }
}

fn execute(url: &str, statement: &str) {
    try_execute(url, statement).expect(statement);
}

fn try_execute(url: &str, statement: &str) -> Result<(), Box<dyn Error>> {
    Ok(PgConnection::establish(url)?.batch_execute(statement)?)
}

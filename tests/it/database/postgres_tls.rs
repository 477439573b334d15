//! TLS to PostgreSQL, by the parameters of the URL.

use std::time::Duration;

use diesel::{Connection as _, PgConnection, RunQueryDsl as _, sql_query};
use tempfile::TempDir;

use crate::support::{Authority, Postgres, Program, Server, Signed, until};

/// The server's name in its certificate. Clients reach the server by address.
const NAME: &str = "127.0.0.1";

/// A server that offers TLS with this certificate.
async fn postgres_with(signed: &Signed) -> Postgres {
    let postgres = Postgres::started().await;
    let mut connection = PgConnection::establish(&postgres.url()).unwrap();
    // The server writes the files, because it must own them.
    for (file, pem) in [("server.crt", &signed.certificate), ("server.key", &signed.key)] {
        let lines = format!("SELECT unnest(string_to_array('{}', E'\\n'))", pem.trim());
        sql_query(format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {file}'")).execute(&mut connection).unwrap();
    }
    sql_query("ALTER SYSTEM SET ssl = on").execute(&mut connection).unwrap();
    sql_query("SELECT pg_reload_conf()").execute(&mut connection).unwrap();
    let url = format!("{}?sslmode=require", postgres.url());
    until("the server offers TLS", Duration::from_secs(20), async || PgConnection::establish(&url).is_ok()).await;
    postgres
}

struct Client {
    dir: TempDir,
}

impl Client {
    fn that_trusts(authority: &Authority) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("root.pem"), authority.pem()).unwrap();
        Self { dir }
    }

    fn of(&self, postgres: &Postgres, mode: &str) -> Server {
        let root = self.dir.path().join("root.pem");
        let url = format!("{}?sslmode={mode}&sslrootcert={}", postgres.url(), root.display());
        Server::listening(Program::new(self.dir.path()).env("DATABASE_URL", url))
    }
}

async fn is_refused(server: &Server, why: &str) {
    until("the log has the reason", Duration::from_secs(20), async || server.log().contains(why)).await;
    assert!(!server.is_ready().await);
}

#[tokio::test]
async fn verify_full_is_honoured() {
    let authority = Authority::new();
    let postgres = postgres_with(&authority.sign(NAME)).await;
    let client = Client::that_trusts(&authority);
    let server = client.of(&postgres, "verify-full");
    server.ready().await;
    server.create("John", "john@example.com").await;
    let mut connection = PgConnection::establish(&postgres.url()).unwrap();
    let clear = "SELECT 1 / (CASE WHEN count(*) > 0 AND bool_and(ssl) THEN 1 ELSE 0 END)
        FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'user-service'";
    sql_query(clear).execute(&mut connection).expect("every connection is encrypted");
}

#[tokio::test]
async fn another_authority_is_not_believed() {
    let postgres = postgres_with(&Authority::new().sign(NAME)).await;
    let client = Client::that_trusts(&Authority::new());
    let server = client.of(&postgres, "verify-full");
    is_refused(&server, "SSL error").await;
}

#[tokio::test]
async fn another_name_is_not_believed() {
    let authority = Authority::new();
    let postgres = postgres_with(&authority.sign("db.example.com")).await;
    let client = Client::that_trusts(&authority);
    let server = client.of(&postgres, "verify-full");
    is_refused(&server, "does not match host name").await;
    client.of(&postgres, "verify-ca").ready().await;
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to() {
    let postgres = Postgres::started().await;
    let client = Client::that_trusts(&Authority::new());
    let server = client.of(&postgres, "verify-full");
    is_refused(&server, "does not support SSL").await;
}

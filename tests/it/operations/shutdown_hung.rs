//! SIGTERM while PostgreSQL hangs: its sockets stay open, and nothing answers.

use std::net::TcpStream;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Answered, LiveStream, Postgres, Program, Server, until};

const SOON: Duration = Duration::from_secs(10);

/// A service whose database hangs while a live stream is open.
struct Hung {
    server: Server,
    _stream: LiveStream,
    _postgres: Postgres,
    _dir: TempDir,
}

impl Hung {
    async fn with(vars: &[(&str, &str)]) -> Self {
        let (dir, postgres) = (TempDir::new().unwrap(), Postgres::started().await);
        let program = Program::new(dir.path()).env("DATABASE_URL", postgres.url()).env("SHUTDOWN_DELAY", "100ms");
        let server = Server::listening(program.envs(vars));
        server.ready().await;
        let stream = LiveStream::open(&server).await;
        postgres.freeze();
        until("the service notices it", SOON, async || !server.is_ready().await).await;
        Self { server, _stream: stream, _postgres: postgres, _dir: dir }
    }
}

#[tokio::test]
async fn it_ends_within_its_grace() {
    let mut hung = Hung::with(&[("DB_DEADLINE", "20s"), ("SHUTDOWN_GRACE", "2s")]).await;
    hung.server.get("/health").answer().await.expect(200);
    hung.server.signal("TERM");
    // `SHUTDOWN_GRACE`, and time for a busy machine.
    let status = hung.server.exit(Duration::from_secs(4)).await;
    assert_eq!(status.code(), Some(1), "a call to the database had not ended");
    let last = "not everything had ended within SHUTDOWN_GRACE";
    until("the last line is logged", SOON, async || hung.server.log().contains(last)).await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut hung = Hung::with(&[("DB_DEADLINE", "20s"), ("SHUTDOWN_GRACE", "50s")]).await;
    hung.server.signal("TERM");
    let address = hung.server.address().to_owned();
    until("no connection is accepted", SOON, async || TcpStream::connect(&address).is_err()).await;
    hung.server.signal("TERM");
    let status = hung.server.exit(Duration::from_secs(2)).await;
    assert_eq!(status.code(), Some(1));
    until("the last line is logged", SOON, async || hung.server.log().contains("again: ending at once")).await;
}

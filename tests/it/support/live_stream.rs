use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::database::Connection;
use super::server::Server;

const PATH: &str = "/api/v2/events";
/// Longer than a stream needs to deliver an event, even on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// A client of the live stream. It reads server-sent events and remembers its offset.
pub struct LiveStream {
    response: Response,
    unread: String,
    /// The last id that it received, from which it would resume.
    pub last_id: i64,
    /// The number of blocks without an event, including the first one of the stream.
    pub signs_of_life: usize,
}

/// An event as it arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub id: i64,
    /// The event's name in the stream.
    pub name: String,
    pub data: Value,
}

impl LiveStream {
    /// A stream that starts with the next change.
    pub async fn open(server: &Server) -> Self {
        Self::on(server.get(PATH)).await
    }

    /// A stream that resumes after an event.
    pub async fn resume(server: &Server, last_id: i64) -> Self {
        Self::on(server.get(PATH).header("last-event-id", last_id.to_string())).await
    }

    /// A stream of certain types of events.
    pub async fn of_types(server: &Server, types: &str) -> Self {
        Self::on(server.get(&format!("{PATH}?type={types}"))).await
    }

    pub async fn on(request: RequestBuilder) -> Self {
        let response = request.timeout(Duration::from_mins(5)).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{response:?}");
        let mut stream = Self { response, unread: String::new(), last_id: -1, signs_of_life: 0 };
        let first = timeout(SOON, stream.block()).await.expect("a beginning in time").expect("a beginning");
        assert!(first.starts_with("retry: ") && first.contains("\nid: "), "{first:?}");
        assert_eq!(stream.read(&first), None);
        stream
    }

    /// The next event, or `None` when the stream has ended in any way.
    pub async fn next(&mut self) -> Option<Told> {
        timeout(SOON, self.event()).await.expect("an event or an end in time")
    }

    pub async fn take(&mut self, count: usize) -> Vec<Told> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            all.push(self.next().await.unwrap_or_else(|| panic!("it ended after {} of {count}", all.len())));
        }
        all
    }

    /// All events until the stream ends.
    pub async fn take_all(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some(told) = self.next().await {
            all.push(told);
        }
        all
    }

    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.event()).await.is_err()
    }

    async fn event(&mut self) -> Option<Told> {
        while let Some(block) = self.block().await {
            if let Some(told) = self.read(&block) {
                return Some(told);
            }
        }
        None
    }

    /// The next lines up to an empty one. A caller may cancel the future and call again.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                let block = self.unread.drain(..end + 2).collect::<String>();
                return Some(block.trim_end().to_owned());
            }
            // A block that is cut off is no event.
            let piece = self.response.chunk().await.ok()??;
            self.unread.push_str(std::str::from_utf8(&piece).expect("chunks end between events"));
        }
    }

    fn read(&mut self, block: &str) -> Option<Told> {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let id = field("id").unwrap_or_else(|| panic!("no id: {block}")).parse().expect("a number");
        assert!(id >= self.last_id, "{id} after {}", self.last_id);
        let Some(name) = field("event") else {
            assert_eq!(field("data"), None, "{block}");
            self.last_id = id;
            self.signs_of_life += 1;
            return None;
        };
        assert!(id > self.last_id, "{id} after {}", self.last_id);
        self.last_id = id;
        let data: Value = serde_json::from_str(field("data").expect("data")).expect("JSON");
        assert_eq!(data["type"], name, "{block}");
        Some(Told { id, name: name.to_owned(), data })
    }
}

impl Told {
    pub fn user_id(&self) -> i64 {
        self.data["data"]["id"].as_i64().expect("a user's id")
    }

    pub fn version(&self) -> i64 {
        self.data["data"]["version"].as_i64().expect("a version")
    }
}

/// Writes `count` events of a user that never existed. Each has its number as its version, and all are recent enough to
/// be kept.
pub fn insert_events(connection: &mut Connection, count: u32) {
    let name = "x".repeat(100);
    let email = format!("{}@example.com", "x".repeat(200));
    connection.run(&format!(
        "INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt)
        WITH RECURSIVE versions (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM versions WHERE n < {count})
        SELECT 2, 1000000, n, '{name}', '{email}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 1 FROM versions ORDER BY n"
    ));
}

/// Simulates a failover that loses events: the events after `kept` are gone, and others have the offsets up to `end`.
/// Each of those has another salt, and a version that no other event has.
pub fn lose_events(connection: &mut Connection, kept: i64, end: i64) {
    let set_back = match connection {
        Connection::Sqlite(_) => format!("UPDATE sqlite_sequence SET seq = {kept} WHERE name = 'events'"),
        Connection::Postgres(_) => format!("SELECT setval(pg_get_serial_sequence('events', 'id'), {kept})"),
    };
    connection.run(&format!(
        "BEGIN; DELETE FROM events WHERE id > {kept}; {set_back};
        INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt)
        WITH RECURSIVE places (n) AS (SELECT {kept} + 1 UNION ALL SELECT n + 1 FROM places WHERE n < {end})
        SELECT 2, 1000000, 1000000 + n, 'x', 'x@example.com', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 2 FROM places ORDER BY n;
        COMMIT"
    ));
}

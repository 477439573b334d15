use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::answer::Answered;
use super::app::App;
use super::database::Db;
use super::server::Server;
use super::strict::Strict;
use super::token::TOKEN;

/// The path of an export of everybody.
pub const EXPORT: &str = "/api/v2/users:export";

/// An export in NDJSON that is whole.
#[derive(Debug, PartialEq)]
pub struct Export {
    pub users: Vec<Value>,
    /// Where the live stream goes on.
    pub resume_after: i64,
}

impl Export {
    pub async fn of(server: &Server) -> Self {
        Self::at(server, EXPORT).await
    }

    pub async fn at(server: &Server, path: &str) -> Self {
        let answer = server.get(path).answer().await;
        answer.expect(200);
        let resume_after = answer.header("resume-after").parse().expect("an offset");
        Self { users: users_of(&answer.text), resume_after }
    }
}

/// The users of a whole file in NDJSON.
pub fn users_of(ndjson: &str) -> Vec<Value> {
    let mut users: Vec<Value> =
        ndjson.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let end = users.pop().expect("an end");
    users.iter_mut().for_each(without_defaults);
    assert_eq!(end, json!({ "end": { "users": users.len() } }));
    assert!(ndjson.ends_with('\n'));
    users
}

/// Makes of an exported user what lists show: an export says it of each user, if there is no external id, or no attributes.
fn without_defaults(user: &mut Value) {
    let members = user.as_object_mut().expect("a user");
    assert!(["external_id", "status", "attributes"].iter().all(|name| members.contains_key(*name)), "{members:?}");
    members.retain(|name, value| !(value.is_null() || name == "status" && value == "active"));
}

/// A server whose database has made-up users.
pub async fn seeded(db: Db, users: u32, vars: &[(&str, &str)]) -> App {
    let database = db.fresh();
    database.program().args(["seed", "--count", &users.to_string()]).run().succeeded();
    App::on(database, vars).await
}

/// A client that has asked for an export, and reads nothing until it is told to. The kernel keeps little for it.
pub fn stuck_export(server: &Server, token: &str) -> Strict<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = server.address().parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(format!("GET {EXPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes())
        .unwrap();
    Strict::over(stream)
}

/// The same with a valid token, after its first chunk: the export runs.
pub fn running_export(server: &Server) -> Strict<TcpStream> {
    let mut export = stuck_export(server, &TOKEN);
    let begun = export.beginning_of_answer().expect("an export");
    assert_eq!(begun.status, 200, "{begun:?}");
    export
}

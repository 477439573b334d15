use std::io::Write as _;
use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::Value;

use super::walk::walk;
use crate::support::{Script, headers, scatter};

/// A user as a client knows it.
#[derive(Clone, Deserialize)]
struct Known {
    id: u64,
    email: String,
    version: u64,
}

/// Renames users. Each client has its own users, so it always knows their versions, and every update meets its
/// condition.
pub(crate) fn update_user(server: SocketAddr, clients: usize) -> Vec<Script> {
    let known = Vec::from_iter(walk(server, 100).iter().flat_map(users));
    let share = |client| Vec::from_iter(known.iter().skip(client).step_by(clients).cloned());
    (0..clients).map(|client| rename(share(client))).collect()
}

fn rename(mut users: Vec<Known>) -> Script {
    Box::new(move |number, out| {
        let at = usize::try_from(scatter(number)).expect("64 bits") % users.len();
        let Known { id, email, version } = users.get_mut(at).expect("one of them");
        let body = format!(r#"{{"name":"Grace {number:08x}","email":"{email}"}}"#);
        let length = body.len();
        let headers = headers();
        write!(
            out,
            "PUT /api/v2/users/{id} HTTP/1.1\r\n{headers}If-Match: \"{version}\"\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("memory");
        *version += 1;
        200
    })
}

fn users(page: &Value) -> Vec<Known> {
    let users = page.get("users").expect("a page");
    Vec::deserialize(users).expect("users")
}

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use super::walk::{next_page_token, walk};
use crate::support::{Script, alike, headers, scatter};

/// Reads pages of 20 at random places in the list.
pub(crate) fn list_users(server: SocketAddr, clients: usize) -> Vec<Script> {
    let tokens = walk(server, 20).iter().filter_map(next_page_token).map(str::to_owned).collect::<Arc<[_]>>();
    alike(clients, move |number, out| {
        let at = usize::try_from(scatter(number)).expect("64 bits") % tokens.len();
        let token = tokens.get(at).expect("one of them");
        let path = format!("/api/v2/users?page_size=20&page_token={token}");
        let headers = headers();
        write!(out, "GET {path} HTTP/1.1\r\n{headers}\r\n").expect("memory");
        200
    })
}

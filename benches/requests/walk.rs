use std::iter::successors;
use std::net::SocketAddr;

use serde_json::Value;

use crate::support::get;

/// Reads all users of a server, page by page.
pub(super) fn walk(server: SocketAddr, page_size: usize) -> Vec<Value> {
    let first = format!("/api/v2/users?page_size={page_size}");
    let page = |path: &str| -> Value {
        let answer = get(server, path).expect("an answer");
        serde_json::from_slice(&answer.body).expect("a page")
    };
    let next = |last: &Value| next_page_token(last).map(|token| page(&format!("{first}&page_token={token}")));
    successors(Some(page(&first)), next).collect()
}

/// The token of the next page.
pub(super) fn next_page_token(page: &Value) -> Option<&str> {
    page.get("next_page_token")?.as_str()
}

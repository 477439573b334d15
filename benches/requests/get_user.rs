use std::io::Write as _;

use crate::support::{USERS, headers, scatter};

/// Reads one user by id.
pub(crate) fn get_user(number: u64, out: &mut Vec<u8>) -> u16 {
    let id = 1 + scatter(number) % USERS;
    let headers = headers();
    write!(out, "GET /api/v1/users/{id} HTTP/1.1\r\n{headers}\r\n").expect("memory");
    200
}

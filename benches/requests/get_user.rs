use std::io::Write as _;

use crate::support::{USERS, scatter};

/// Reads one user by id.
pub(crate) fn get_user(number: u64, out: &mut Vec<u8>) -> u16 {
    let id = 1 + scatter(number) % USERS;
    write!(out, "GET /api/v1/users/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("memory");
    200
}

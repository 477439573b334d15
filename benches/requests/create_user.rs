use std::io::Write as _;

use crate::support::{headers, scatter};

/// Creates a user.
pub(crate) fn create_user(number: u64, out: &mut Vec<u8>) -> u16 {
    // Addresses come in random order. In order, the index would only grow at its end.
    let mailbox = scatter(number);
    let body = format!(r#"{{"name":"Grace Hopper","email":"{mailbox:016x}@example.com"}}"#);
    let length = body.len();
    let headers = headers();
    write!(
        out,
        "POST /api/v1/users HTTP/1.1\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .expect("memory");
    201
}

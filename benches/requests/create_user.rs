use std::io::Write as _;

use crate::support::scatter;

/// Creates a user.
pub(crate) fn create_user(number: u64, out: &mut Vec<u8>) -> u16 {
    // In no order, as addresses come: in order, the index would only ever grow at its end.
    let mailbox = scatter(number);
    let body = format!(r#"{{"name":"Grace Hopper","email":"{mailbox:016x}@example.com"}}"#);
    let length = body.len();
    write!(
        out,
        "POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .expect("memory");
    201
}

//! Opens connections to PostgreSQL, with a bound on every wait.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::{Connection as _, ConnectionError, ConnectionResult};

use super::locks::lock_timeout;
use crate::telemetry;

/// Connects, and sets the session's timeouts.
pub(super) fn open(url: &str, deadline: Duration) -> ConnectionResult<PgConnection> {
    // libpq prints the server's notices, for example that a collation has another version by now.
    let mut connection = telemetry::capture_stderr(|| PgConnection::establish(&with_defaults(url, deadline)))?;
    // A plan is kept while its table grows. One that was made for a small table would read all of it, even when it has
    // millions of rows. Every statement of the service has an index; none is worth compiling.
    let setup = format!(
        "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0}; SET lock_timeout = {1};
         SET enable_seqscan = off; SET jit = off;",
        deadline.as_millis(),
        lock_timeout(deadline).as_millis()
    );
    connection.batch_execute(&setup).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

fn with_defaults(url: &str, deadline: Duration) -> String {
    let mut url = url.to_owned();
    for (name, value) in libpq_defaults(deadline) {
        let query = url.split_once('?').map(|(_, query)| query);
        if !query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some(name)) {
            let separator = if query.is_some() { '&' } else { '?' };
            url.extend([separator]);
            url.extend([name, "=", &value]);
        }
    }
    url
}

/// Parameters for libpq, unless the URI sets them: notice within seconds that the server's machine is gone.
fn libpq_defaults(deadline: Duration) -> [(&'static str, String); 6] {
    [
        ("application_name", "user-service".to_owned()),
        ("connect_timeout", "2".to_owned()),
        ("keepalives_idle", "10".to_owned()),
        ("keepalives_interval", "3".to_owned()),
        ("keepalives_count", "3".to_owned()),
        ("tcp_user_timeout", tcp_user_timeout(deadline).as_millis().to_string()),
    ]
}

/// How long sent data may stay unacknowledged. By `deadline` the caller has given up, and after twice that the watchdog
/// would abandon the connection. It is better to lose the connection in order, just before.
fn tcp_user_timeout(deadline: Duration) -> Duration {
    deadline.saturating_mul(2).clamp(Duration::from_secs(1), Duration::from_secs(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_only_what_the_uri_does_not_set() {
        let url = with_defaults("postgres://db/users?connect_timeout=9", Duration::from_secs(2));
        assert!(url.starts_with("postgres://db/users?connect_timeout=9&application_name=user-service&"), "{url}");
        assert_eq!(url.matches("connect_timeout").count(), 1);
        assert!(url.ends_with("&tcp_user_timeout=4000"), "{url}");
        let bare = with_defaults("postgres://db", Duration::from_mins(1));
        assert!(bare.starts_with("postgres://db?application_name=user-service&"), "{bare}");
        assert!(bare.ends_with("&tcp_user_timeout=10000"), "{bare}");
    }
}

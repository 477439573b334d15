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
    // millions of rows. Every statement of the service has an index; none is worth compiling, or planning each time: for a LIMIT
    // that it does not know, PostgreSQL would take a plan for dear and make another one for each page.
    let setup = format!(
        "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0}; SET lock_timeout = {1};
         SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan;",
        deadline.as_millis(),
        lock_timeout(deadline).as_millis()
    );
    connection.batch_execute(&setup).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Connects for statements that take long: none of them times out, but for the wait for a lock, after an hour.
///
/// The settings are those of the connection's start. `SET` would reach, behind a pooler, a connection that others use next;
/// a pooler refuses or ignores these, and the timeouts of the role hold.
pub(crate) fn open_for_long_statements(url: &str, deadline: Duration) -> ConnectionResult<PgConnection> {
    telemetry::capture_stderr(|| PgConnection::establish(&with_options(&with_defaults(url, deadline))))
}

/// Adds the settings to those that the URI may have.
fn with_options(url: &str) -> String {
    const OPTIONS: &str =
        "-c%20statement_timeout%3D0%20-c%20lock_timeout%3D1h%20-c%20idle_in_transaction_session_timeout%3D0";
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (own, others): (Vec<&str>, Vec<&str>) =
        query.split('&').filter(|pair| !pair.is_empty()).partition(|pair| pair.starts_with("options="));
    let own = own.first().map_or_else(|| "options=".to_owned(), |own| format!("{own}%20"));
    let pairs = others.into_iter().map(str::to_owned).chain([own + OPTIONS]);
    format!("{address}?{}", Vec::from_iter(pairs).join("&"))
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
    fn options_are_added_to_those_of_the_uri() {
        let url = with_options("postgres://db/users?a=b&options=-c%20jit%3Doff&c=d");
        assert!(
            url.starts_with("postgres://db/users?a=b&c=d&options=-c%20jit%3Doff%20-c%20statement_timeout%3D0%20"),
            "{url}"
        );
        assert!(with_options("postgres://db").starts_with("postgres://db?options=-c%20statement_timeout%3D0%20"));
    }

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

//! Checks connection URIs of PostgreSQL as libpq would.

use diesel::pg::PgConnection;
use diesel::{Connection as _, ConnectionError};
use percent_encoding::percent_decode_str;

use super::percent_code::begins_with_code;

const SHAPE: &str = "postgres://user:password@host:port/name, a password's own @ / ? # % and space written as %40 ...";

/// Rejects a password that is not escaped, and whatever libpq would reject at every attempt to connect.
///
/// # Errors
/// What is accepted, in words for the operator, without any text that may belong to a password.
pub(super) fn check(uri: &str, rest: &str) -> Result<(), String> {
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (name, query) = path.split_once('?').unwrap_or((path, ""));
    let is_name = !name.strip_prefix('/').unwrap_or(name).contains('/');
    if !is_escaped(rest, authority, path) || !is_name {
        return Err(SHAPE.to_owned());
    }
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let parameters = Vec::from_iter(parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, ""))));
    let wrong = match parameters.iter().position(|(name, value)| !is_in_range(name, value)) {
        Some(wrong) => Some(wrong),
        None => match complaint(uri) {
            Some(complaint) => parameters.iter().position(|(name, _)| words(&complaint).any(|word| word == *name)),
            None => return Ok(()),
        },
    };
    Err(match wrong.map(|wrong| name_of(&parameters, wrong)) {
        Some(Some(name)) => format!("no parameter {name}, or not with this value: libpq refuses it"),
        Some(None) => "parameters only that libpq takes, with values that it takes".to_owned(),
        None => format!("{SHAPE}: libpq needs a user, as many ports as hosts or one, and good PG... variables, if any"),
    })
}

/// The parameter's name, if it may be shown: text after a password may be the rest of it.
fn name_of<'a>(parameters: &[(&'a str, &str)], wrong: usize) -> Option<&'a str> {
    let is_open = !parameters.iter().take(wrong).any(|(name, _)| is_secret(name));
    let (name, _) = parameters.get(wrong).filter(|_| is_open)?;
    (words(name).count() == 1).then_some(name)
}

/// libpq's complaint about the URI, if it has one. The complaint may repeat parts of the URI.
///
/// Diesel does not expose libpq's parser. But libpq checks the values of parameters before it connects, and checks this
/// parameter last: with an unknown protocol version it never connects.
fn complaint(uri: &str) -> Option<String> {
    const LAST: &str = "max_protocol_version";
    let separator = match uri.find('?') {
        None => "?",
        Some(_) if uri.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    match PgConnection::establish(&format!("{uri}{separator}{LAST}=none")) {
        Err(ConnectionError::BadConnection(complaint)) => {
            Some(complaint).filter(|it| !(it.contains(LAST) && it.contains("\"none\"")))
        }
        Err(error) => Some(error.to_string()),
        Ok(_) => None,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
}

/// Checks numbers, which libpq checks only when it connects. For 0 and less libpq uses the system's value.
fn is_in_range(name: &str, value: &str) -> bool {
    let value = percent_decode_str(value).decode_utf8_lossy();
    // libpq trims too.
    let value = value.trim();
    match name {
        "port" => value.split(',').all(is_port),
        "connect_timeout"
        | "keepalives"
        | "keepalives_count"
        | "keepalives_idle"
        | "keepalives_interval"
        | "tcp_user_timeout" => value.is_empty() || value.parse::<i32>().is_ok(),
        _ => true,
    }
}

fn is_secret(name: &str) -> bool {
    matches!(name, "password" | "sslpassword" | "oauth_client_secret" | "scram_client_key" | "scram_server_key")
}

/// Whether libpq will split the URI as intended. Otherwise its error shows a part of the password that it took for the
/// host or the port, or the whole URI.
fn is_escaped(rest: &str, authority: &str, path: &str) -> bool {
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    authority.matches('@').count() <= 1
        && !path.contains(['@', '#'])
        && !rest.contains(|character: char| character.is_whitespace() || character.is_control())
        && rest.split('%').skip(1).all(begins_with_code)
        && hosts.split(',').all(is_host)
}

/// `name`, `address` or `[address]`, with an optional port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((host, port)) => (host, port),
            None => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_allowed = |character: char| character.is_alphanumeric() || ".-_:%".contains(character);
    host.chars().all(is_allowed) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// An empty port stands for the default one.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.parse::<u16>().is_ok_and(|port| port != 0)
}

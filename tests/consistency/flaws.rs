use crate::support::Connection;

/// What is wrong with the database itself.
pub fn flaws(connection: &mut Connection) -> Vec<String> {
    let mut flaws = connection.facts(
        "SELECT 'the keys of user ' || CAST(id AS TEXT) || ' do not fit' AS fact FROM users
         WHERE name_key <> lower(name) OR email_key <> lower(email) OR coalesce(address_key, email_key) <> lower(email)",
    );
    if matches!(connection, Connection::Sqlite(_)) {
        flaws.extend(connection.facts("SELECT integrity_check AS fact FROM pragma_integrity_check"));
        flaws.retain(|flaw| flaw != "ok");
    }
    flaws
}

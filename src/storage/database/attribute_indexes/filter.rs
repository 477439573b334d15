//! The condition that a user has an attribute, as the index of either database serves it.

use diesel::QueryResult;
use diesel::dsl::{AsExprOf, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::sql_types::{Bool, Text};

use crate::domain::AttributeFilter;
use crate::storage::database::connection::Connection;

pub(crate) use super::sqlite::user_attributes;

/// Whether the indexes of all these attributes are complete, as the current transaction sees them.
pub(crate) fn are_complete(connection: &mut Connection, filters: &[AttributeFilter]) -> QueryResult<bool> {
    for filter in filters {
        let is_complete = match connection {
            Connection::Postgres(postgres, _) => super::postgres::states(postgres)?.of(&filter.name).is_complete(),
            Connection::Sqlite(sqlite, _) => super::sqlite::is_complete(sqlite, &filter.name)?,
        };
        if !is_complete {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The type of the condition, which is the same on both databases.
type HasAttribute<'a> = SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, AsExprOf<&'a str, Text>>>;

/// The condition that a user has the attribute.
///
/// SQL text: PostgreSQL needs the name within it, because a plan that is kept cannot use the index for a parameter in its
/// place. A name stands for itself, which its type ensures.
pub(crate) fn has<'a>(connection: &Connection, attribute: &'a AttributeFilter) -> HasAttribute<'a> {
    let name = &attribute.name;
    let (before, behind) = match connection {
        Connection::Postgres(..) => (format!(r#"user_attribute(users.attributes, '{name}') COLLATE "C" = "#), ""),
        Connection::Sqlite(..) => {
            (format!("users.id IN (SELECT user_id FROM user_attributes WHERE name = '{name}' AND value = "), ")")
        }
    };
    sql::<Bool>(&before).bind::<Text, _>(attribute.value()).sql(behind)
}

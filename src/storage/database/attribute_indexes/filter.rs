//! The condition that a user has an attribute, as the index of either database serves it.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType, Text};

use crate::domain::AttributeFilter;
use crate::storage::database::connection::Connection;
use crate::storage::database::schema::tables::users;

pub(crate) use super::sqlite::{are_complete, user_attributes};

/// The condition that a user has an attribute.
///
/// SQL text: PostgreSQL needs the name within it, because a plan that is kept could not use the index for a parameter in its
/// place. A name stands for itself, which its type ensures. Not `diesel::dsl::sql`, with which no statement stays prepared.
pub(crate) struct HasAttribute<'a> {
    before: String,
    value: &'a str,
    behind: &'static str,
}

impl<'a> HasAttribute<'a> {
    pub(crate) fn new(connection: &Connection, attribute: &'a AttributeFilter) -> Self {
        let name = &attribute.name;
        let (before, behind) = match connection {
            Connection::Postgres(..) => (format!(r#"user_attribute(users.attributes, '{name}') COLLATE "C" = "#), ""),
            Connection::Sqlite(..) => {
                (format!("users.id IN (SELECT user_id FROM user_attributes WHERE name = '{name}' AND value = "), ")")
            }
        };
        Self { before, value: attribute.value(), behind }
    }
}

impl Expression for HasAttribute<'_> {
    type SqlType = Bool;
}

impl ValidGrouping<()> for HasAttribute<'_> {
    type IsAggregate = is_aggregate::No;
}

impl AppearsOnTable<users::table> for HasAttribute<'_> {}

impl SelectableExpression<users::table> for HasAttribute<'_> {}

impl QueryId for HasAttribute<'_> {
    type QueryId = ();

    // The text says which statement it is.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB> QueryFragment<DB> for HasAttribute<'_>
where
    DB: Backend + HasSqlType<Text>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(&self.before);
        out.push_bind_param::<Text, _>(self.value)?;
        out.push_sql(self.behind);
        Ok(())
    }
}

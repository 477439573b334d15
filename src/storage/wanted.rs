//! The changes of users that a batch on PostgreSQL is for.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamp as SqlTimestamp};

use super::delete_users::Delete;
use super::row::Moment;
use super::update_users::Update;
use crate::telemetry::TracePlace;
use crate::users::{Timestamp, UserId, Version};

/// The query that locks the users to be changed, and gives the version of each beside what is wanted of it.
///
/// It locks in the order of their ids, so that two replicas which change the same users do not wait for each other in a
/// circle. Where one is locked, it leaves it out or waits for it. After a wait it gives what the lock's holder left, which
/// the statement's own snapshot does not show.
///
/// The values travel as one array a column, so that the statement stays prepared whatever the number of rows.
pub(super) struct Wanted<'a> {
    /// As many as PostgreSQL expects, or more; the others are NULL.
    ids: Vec<Option<i64>>,
    expected: Vec<Option<i64>>,
    /// True for a delete, false for an update.
    gone: Vec<bool>,
    names: Vec<Option<&'a str>>,
    name_keys: Vec<Option<&'a str>>,
    emails: Vec<Option<&'a str>>,
    email_keys: Vec<Option<&'a str>>,
    address_keys: Vec<Option<&'a str>>,
    trace_parents: Vec<Option<String>>,
    now: Moment,
    skips_locked: bool,
}

/// How many rows PostgreSQL expects of an array that it does not know yet. For less it hopes that a plan of its own is
/// cheaper than the plan for all, and makes one each time, which takes longer than to change a user.
const EXPECTED: usize = 10;

type Row<'a> = (UserId, Option<Version>, Option<TracePlace>, Option<&'a Update>);

impl<'a> Wanted<'a> {
    pub(super) fn new(updates: &[&'a Update], deletes: &[&Delete], now: Timestamp, skips_locked: bool) -> Self {
        let updates = updates.iter().map(|update| (update.id, update.expected, update.trace, Some(*update)));
        let deletes = deletes.iter().map(|delete| (delete.id, delete.expected, delete.trace, None));
        let rows: Vec<Row<'a>> = updates.chain(deletes).collect();
        let mut ids = Vec::from_iter(rows.iter().map(|(id, ..)| Some(id.get())));
        // Nobody has the id NULL. Of the other columns, `unnest` fills up those that are shorter.
        ids.resize(ids.len().max(EXPECTED), None);
        let texts =
            |of: fn(&'a Update) -> Option<&'a str>| rows.iter().map(|(.., update)| update.and_then(of)).collect();
        Self {
            ids,
            expected: rows.iter().map(|(_, expected, ..)| expected.map(|version| version.0)).collect(),
            gone: rows.iter().map(|(.., update)| update.is_none()).collect(),
            names: texts(Update::name),
            name_keys: texts(Update::name_key),
            emails: texts(Update::email),
            email_keys: texts(Update::email_key),
            address_keys: texts(Update::address_key),
            trace_parents: rows.iter().map(|(_, _, trace, _)| trace.map(|place| place.to_string())).collect(),
            now: Moment(now),
            skips_locked,
        }
    }

    /// The query that tells which of them are there and were not `found`: somebody has locked them, or has deleted them since
    /// the statement began. Which it is will show when they are tried again. Where all were found it looks nobody up.
    pub(super) fn select_locked<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT locked.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM unnest(");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.ids)?;
        out.push_sql(
            ") AS locked (id)
            WHERE locked.id NOT IN (SELECT found.id FROM found)
                AND EXISTS (SELECT FROM users WHERE users.id = locked.id)",
        );
        Ok(())
    }
}

impl QueryFragment<Pg> for Wanted<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT users.id, users.version, wanted.expected, wanted.gone, wanted.name, wanted.name_key, ");
        out.push_sql("wanted.email, wanted.email_key, wanted.address_key, wanted.trace_parent, ");
        out.push_bind_param::<SqlTimestamp, _>(&self.now)?;
        out.push_sql(" AS now FROM users JOIN unnest(");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.expected)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Bool>, _>(&self.gone)?;
        for texts in [&self.names, &self.name_keys, &self.emails, &self.email_keys, &self.address_keys] {
            out.push_sql(", ");
            out.push_bind_param::<Array<Nullable<Text>>, _>(texts)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.trace_parents)?;
        out.push_sql(
            ") AS wanted (id, expected, gone, name, name_key, email, email_key, address_key, trace_parent)
            ON wanted.id = users.id
            ORDER BY users.id FOR UPDATE OF users",
        );
        if self.skips_locked {
            out.push_sql(" SKIP LOCKED");
        }
        Ok(())
    }
}

//! The statement of a batch of look-ups that go through the user cache on PostgreSQL. It reads, as of one snapshot, what
//! the log of events says beyond what the cache has read, and the users that are not in memory.
//!
//! SQL text, because Diesel has neither `UNION ALL` of different tables nor `LATERAL`. It has no users' part while all
//! users are in memory, and no gaps' part while there are no gaps. Each of these texts stays prepared.
//!
//! Each list is filled up and each part limited, so that PostgreSQL expects its generic plan to be as cheap as one for
//! these values. Otherwise it would plan every statement anew, which takes ten times as long as to run it.

use diesel::QueryResult;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamp as SqlTimestamp};

use super::get_on_postgres::{fill_up, fill_up_with};
use crate::domain::{Email, User, UserId, UserName, Version};
use crate::storage::database::schema::EVENT_COLUMNS;
use crate::storage::database::schema::profile_columns::profile;
use crate::storage::database::schema::timestamp_column::TimestampColumn;
use crate::storage::database::sql_text::SqlText;
use crate::storage::user_cache::{Tail, TailChange, TailEvent, Ticket};

/// The state of the log: up to where it is pruned, and when the server was started.
static STATE: SqlText = SqlText::new(
    "\
SELECT 0, pruned_to, CAST(date_part('epoch', pg_postmaster_start_time()) * 1000000 AS bigint), CAST(NULL AS bigint),
    CAST(NULL AS text), CAST(NULL AS text), CAST(NULL AS bigint), CAST(NULL AS timestamp), CAST(NULL AS timestamp),
    CAST(NULL AS text), CAST(NULL AS smallint), CAST(NULL AS text)
FROM event_log WHERE id = 1",
);

/// The event at the highest place that the cache has read, and those beyond.
static EVENTS: SqlText = SqlText::new(
    "
UNION ALL (
    SELECT CASE WHEN kind = 3 THEN 3 WHEN kind < 3 AND known_columns >= :columns AND name IS NOT NULL THEN 1 ELSE 2 END,
        id, salt, user_id, name, email, version, created_at, occurred_at, external_id, status, attributes
    FROM events WHERE id >= :highest ORDER BY id LIMIT 128)",
);

/// The events that have filled gaps.
static GAPS: SqlText = SqlText::new(
    "
UNION ALL
SELECT CASE WHEN late.kind = 3 THEN 3 ELSE 2 END,
    late.id, late.salt, late.user_id, late.name, late.email, late.version, late.created_at, late.occurred_at,
    late.external_id, late.status, late.attributes
FROM unnest(:firsts, :lasts) AS gap (first, last)
CROSS JOIN LATERAL (SELECT * FROM events WHERE id BETWEEN gap.first AND gap.last ORDER BY id LIMIT 128) AS late",
);

static BY_ID: SqlText = SqlText::new(
    "
UNION ALL
SELECT 4, NULL, NULL, id, name, email, version, created_at, updated_at, external_id, status, attributes
FROM users WHERE id = ANY(:ids)",
);

static BY_KEY: SqlText = SqlText::new(
    "
UNION ALL
SELECT 5, NULL, NULL, id, name, email, version, created_at, updated_at, external_id, status, attributes
FROM users WHERE email_key = ANY(:keys)",
);

/// The `LIMIT` of events.
const MAX_EVENTS: usize = 128;

/// From an offset to the one before it lies nothing. A gap that is repeated would send its events again.
const NO_GAP: (i64, i64) = (1, 0);

/// What the first column says.
const STATE_ROW: i32 = 0;
const STORED: i32 = 1;
const DELETED: i32 = 3;
const USER_BY_ID: i32 = 4;
const USER_BY_KEY: i32 = 5;

/// The kind of row; the place and salt of an event; and a user, as its row or the event has it. The state of the log has
/// in place of the first two up to where it is pruned, and the start of the server.
type Row = (
    i32,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<TimestampColumn>,
    Option<TimestampColumn>,
    Option<String>,
    Option<i16>,
    Option<String>,
);

/// What a statement has read.
#[derive(Default)]
pub(super) struct Found {
    pub(super) tail: Tail,
    pub(super) by_id: Vec<User>,
    pub(super) by_key: Vec<User>,
}

/// Reads the log beyond a ticket, and the users with these ids and keys of addresses.
pub(super) fn read(postgres: &mut PgConnection, ticket: &Ticket, ids: Vec<i64>, keys: Vec<&str>) -> QueryResult<Found> {
    let gaps = match ticket.gaps() {
        [] => Vec::new(),
        gaps => fill_up_with(gaps.to_vec(), NO_GAP),
    };
    let (firsts, lasts) = gaps.into_iter().unzip();
    let (ids, keys) = (fill_up(ids).unwrap_or_default(), fill_up(keys).unwrap_or_default());
    let parameters = Parameters { highest: ticket.highest(), firsts, lasts, ids, keys };
    let mut found = Found::default();
    let (mut beyond, mut late) = (0, 0);
    for row in parameters.load(postgres)? {
        let place = found.add(row, ticket.highest());
        beyond += usize::from(place >= Some(ticket.highest()));
        late += usize::from(place.is_some_and(|place| place < ticket.highest()));
    }
    found.tail.is_cut = beyond >= MAX_EVENTS || late >= MAX_EVENTS;
    found.tail.events.sort_by_key(|event| event.place);
    Ok(found)
}

impl Found {
    /// Returns the place if it is an event.
    fn add(&mut self, row: Row, highest: i64) -> Option<i64> {
        let (kind, place, salt, id, ..) = row;
        match kind {
            STATE_ROW => {
                (self.tail.pruned_to, self.tail.server) = (place?, salt?);
                return None;
            }
            USER_BY_ID => {
                self.by_id.extend(user(row));
                return None;
            }
            USER_BY_KEY => {
                self.by_key.extend(user(row));
                return None;
            }
            _ if place == Some(highest) => self.tail.salt = salt,
            _ => self.tail.events.push(TailEvent { place: place?, salt: salt?, user: id?, change: change(row) }),
        }
        place
    }
}

/// What an event says. One that lacks any of the user's data says only that something has changed.
fn change(row: Row) -> TailChange {
    let (kind, .., ref email, _, _, _, _, _, _) = row;
    let email = email.clone();
    match kind {
        DELETED => TailChange::Deleted,
        STORED => user(row).map_or_else(|| TailChange::partly(email), TailChange::stored),
        _ => TailChange::partly(email),
    }
}

/// The user of a row, if none of its data is missing.
fn user((.., id, name, email, version, created_at, updated_at, external_id, status, attributes): Row) -> Option<User> {
    Some(User {
        id: UserId::stored(id?),
        name: UserName::stored(name?),
        email: Email::stored(email?),
        version: Version(version?),
        created_at: created_at?.0,
        updated_at: updated_at?.0,
        profile: profile((external_id, status, attributes)),
    })
}

struct Parameters<'a> {
    highest: i64,
    /// The first and the last place of each gap.
    firsts: Vec<i64>,
    lasts: Vec<i64>,
    ids: Vec<i64>,
    keys: Vec<&'a str>,
}

impl Parameters<'_> {
    fn load(&self, postgres: &mut PgConnection) -> QueryResult<Vec<Row>> {
        let parts =
            [(self.firsts.is_empty(), WITH_GAPS), (self.ids.is_empty(), WITH_IDS), (self.keys.is_empty(), WITH_KEYS)];
        let parts = parts.into_iter().map(|(is_empty, part)| if is_empty { 0 } else { part }).sum();
        match parts {
            0 => TailStatement::<0>(self).load(postgres),
            1 => TailStatement::<1>(self).load(postgres),
            2 => TailStatement::<2>(self).load(postgres),
            3 => TailStatement::<3>(self).load(postgres),
            4 => TailStatement::<4>(self).load(postgres),
            5 => TailStatement::<5>(self).load(postgres),
            6 => TailStatement::<6>(self).load(postgres),
            _ => TailStatement::<7>(self).load(postgres),
        }
    }

    fn bind<'b>(&'b self, name: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match name {
            "columns" => out.push_bind_param::<SmallInt, _>(&EVENT_COLUMNS),
            "highest" => out.push_bind_param::<BigInt, _>(&self.highest),
            "firsts" => out.push_bind_param::<Array<BigInt>, _>(&self.firsts),
            "lasts" => out.push_bind_param::<Array<BigInt>, _>(&self.lasts),
            "ids" => out.push_bind_param::<Array<BigInt>, _>(&self.ids),
            "keys" => out.push_bind_param::<Array<Text>, _>(&self.keys),
            unknown => Err(DieselError::QueryBuilderError(format!("no value for :{unknown}").into())),
        }
    }
}

/// The parts that a statement has beside the first two. They are part of the type so that Diesel keeps each text prepared
/// without comparing it.
const WITH_GAPS: u8 = 1;
const WITH_IDS: u8 = 2;
const WITH_KEYS: u8 = 4;

struct TailStatement<'a, const PARTS: u8>(&'a Parameters<'a>);

impl<const PARTS: u8> QueryFragment<Pg> for TailStatement<'_, PARTS> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let optional = [(WITH_GAPS, &GAPS), (WITH_IDS, &BY_ID), (WITH_KEYS, &BY_KEY)];
        let optional = optional.into_iter().filter(|(part, _)| PARTS & part != 0).map(|(_, text)| text);
        [&STATE, &EVENTS]
            .into_iter()
            .chain(optional)
            .try_for_each(|text| text.push(&mut out, |name, out| self.0.bind(name, out)))
    }
}

impl<const PARTS: u8> QueryId for TailStatement<'_, PARTS> {
    type QueryId = TailStatement<'static, PARTS>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const PARTS: u8> Query for TailStatement<'_, PARTS> {
    type SqlType = (
        Integer,
        Nullable<BigInt>,
        Nullable<BigInt>,
        Nullable<BigInt>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<BigInt>,
        Nullable<SqlTimestamp>,
        Nullable<SqlTimestamp>,
        Nullable<Text>,
        Nullable<SmallInt>,
        Nullable<Text>,
    );
}

impl<const PARTS: u8> RunQueryDsl<PgConnection> for TailStatement<'_, PARTS> {}

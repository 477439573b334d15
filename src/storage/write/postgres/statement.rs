//! The two statements, as SQL text. `:name` in them stands for a parameter (`parameters`).
//!
//! SQL text, because Diesel has no `WITH`, no `UPDATE ... FROM` and no `DELETE ... USING`. Each column of values is one
//! array, so a text does not depend on the number of rows and stays prepared.

use diesel::QueryResult;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, Text};

use super::parameters::Parameters;
use crate::storage::database::schema::user_row::MaybeUserColumns;
use crate::storage::database::sql_text::SqlText;

/// Creates users and records their events. Each address must occur only once.
///
/// An event's `known_columns` is [`EVENT_COLUMNS`](crate::storage::database::schema::EVENT_COLUMNS).
///
/// Each row has the offset of the last event, too.
///
/// The last condition is always true. It sets how long the statement waits for each lock, and says that the statement
/// records its events: see [`WRITE`].
static CREATE: SqlText = SqlText::new(
    "\
WITH created AS (
    INSERT INTO users (name, name_key, email, email_key, address_key, has_keys, version, created_at, updated_at
        :profile_columns)
    SELECT unnest(:new_names), unnest(:new_name_keys), unnest(:new_emails), unnest(:new_email_keys),
        unnest(:new_address_keys), true, 1, :now, :now :new_profiles
    ON CONFLICT DO NOTHING
    RETURNING email_key, id, name, email :profile_columns
), recorded AS (
    INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt, trace_parent, known_columns
        :profile_columns)
    SELECT 1, created.id, 1, created.name, created.email, :now, :now, :salt, traced.trace_parent, 2 :with_created_profile
    FROM created
    LEFT JOIN unnest(:traced_email_keys, :traced_parents) AS traced (email_key, trace_parent)
        ON traced.email_key = created.email_key
    RETURNING id
:stored)
SELECT email, id, (SELECT max(id) FROM recorded) FROM created
WHERE (SELECT set_config('lock_timeout', :lock_timeout, true) || set_config('user_service.records', 'on', true)) IS NOT NULL",
);

/// Creates, updates and deletes users, and records their events.
///
/// - `found` locks the users to be changed, and pairs the version of each with the wanted change. It locks in the order
///   of ids, so that two replicas that change the same users do not deadlock. It skips a locked user (`:skip_locked`)
///   or waits for it. After a wait it sees what the lock's holder has written, which the statement's snapshot does not
///   show.
/// - `updated` leaves out an address that another user has, instead of failing. If another replica takes the address at
///   the same moment, the unique index fails the batch, and its messages are tried again one by one.
/// - The condition of the first SELECT sets how long the statement waits for each lock. PostgreSQL evaluates it once,
///   before all else: it runs the changes of the `WITH` when the result asks for them. So it costs no round trip, and
///   the setting ends with the statement. Locks of whole tables are taken before that; the session's own timeout bounds
///   them.
/// - The same condition sets `user_service.records`. Without it the trigger `users_mark_change` would leave a mark in the
///   log of events, which tells the user caches of all replicas that there was a change without an event.
/// - Rows of users that were created or found have the offset of the last event, if there is one.
/// - Profiles are in it only if a write has one (`push_profile`). An update has the whole new profile, and the version of
///   the user that it was made from: if the user has another one meanwhile, the update is set aside.
/// - The last SELECT finds users that exist and were not `found`: another transaction has locked them, or has deleted
///   them since the statement began. The next attempt shows which. If all users were found, it looks up nothing.
static WRITE: SqlText = SqlText::new(
    "\
WITH created AS (
    INSERT INTO users (name, name_key, email, email_key, address_key, has_keys, version, created_at, updated_at
        :profile_columns)
    SELECT unnest(:new_names), unnest(:new_name_keys), unnest(:new_emails), unnest(:new_email_keys),
        unnest(:new_address_keys), true, 1, :now, :now :new_profiles
    ON CONFLICT DO NOTHING
    RETURNING email_key, id, name, email :profile_columns
), found AS (
    SELECT users.id, users.version, wanted.expected, wanted.is_delete, wanted.name, wanted.name_key, wanted.email,
        wanted.email_key, wanted.address_key, wanted.trace_parent, :now AS now :wanted_profile
    FROM users
    JOIN unnest(:ids, :expected, :are_deletes, :names, :name_keys, :emails, :email_keys, :address_keys, :trace_parents
            :profiles)
        AS wanted (id, expected, is_delete, name, name_key, email, email_key, address_key, trace_parent
            :profile_names)
        ON wanted.id = users.id
    ORDER BY users.id
    FOR UPDATE OF users :skip_locked
), updated AS (
    UPDATE users SET
        name = coalesce(found.name, users.name),
        name_key = coalesce(found.name_key, users.name_key),
        email = coalesce(found.email, users.email),
        email_key = coalesce(found.email_key, users.email_key),
        address_key = CASE WHEN found.email_key IS NULL THEN users.address_key ELSE found.address_key END,
        duplicate_of = CASE WHEN found.email_key IS NULL THEN users.duplicate_of END,
        key_revision = users.key_revision + 1,
        version = users.version + 1,
        updated_at = found.now
        :set_profile
    FROM found
    WHERE users.id = found.id AND NOT found.is_delete AND (found.expected IS NULL OR found.expected = found.version)
        AND (found.email_key IS NULL OR NOT EXISTS (
            SELECT FROM users AS other WHERE other.email_key = found.email_key AND other.id <> found.id))
        AND (found.address_key IS NULL OR NOT EXISTS (
            SELECT FROM users AS other WHERE other.address_key = found.address_key AND other.id <> found.id))
        :profile_may_be_set
    RETURNING users.id, users.name, users.email, users.version, users.created_at, users.updated_at, users.external_id,
        users.status, users.attributes
), deleted AS (
    DELETE FROM users USING found
    WHERE users.id = found.id AND found.is_delete AND (found.expected IS NULL OR found.expected = found.version)
    RETURNING users.id, users.name, users.email, users.version, users.created_at, users.updated_at, users.external_id,
        users.status, users.attributes
), changed AS (
    SELECT * FROM updated UNION ALL SELECT * FROM deleted
), recorded AS (
    INSERT INTO events (kind, user_id, version, name, email, created_at, occurred_at, salt, trace_parent, known_columns,
        external_id, status, attributes)
    SELECT 1, created.id, 1, created.name, created.email, :now, :now, :salt, traced.trace_parent, 2, :created_profile
    FROM created
    LEFT JOIN unnest(:traced_email_keys, :traced_parents) AS traced (email_key, trace_parent)
        ON traced.email_key = created.email_key
    UNION ALL
    SELECT CASE WHEN found.is_delete THEN 3 ELSE 2 END, changed.id,
        changed.version + CASE WHEN found.is_delete THEN 1 ELSE 0 END,
        CASE WHEN NOT found.is_delete THEN changed.name END, CASE WHEN NOT found.is_delete THEN changed.email END,
        CASE WHEN NOT found.is_delete THEN changed.created_at END, found.now, :salt, found.trace_parent, 2,
        CASE WHEN NOT found.is_delete THEN changed.external_id END, CASE WHEN NOT found.is_delete THEN changed.status END,
        CASE WHEN NOT found.is_delete THEN changed.attributes END
    FROM changed
    JOIN found ON found.id = changed.id
    RETURNING id
:stored)
SELECT id, email, (SELECT max(id) FROM recorded), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM created
WHERE (SELECT set_config('lock_timeout', :lock_timeout, true) || set_config('user_service.records', 'on', true)) IS NOT NULL
UNION ALL
SELECT found.id, NULL, (SELECT max(id) FROM recorded), found.version, changed.*
FROM found LEFT JOIN changed ON changed.id = found.id
UNION ALL
SELECT locked.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM unnest(:ids) AS locked (id)
WHERE locked.id NOT IN (SELECT found.id FROM found) AND EXISTS (SELECT FROM users WHERE users.id = locked.id)",
);

/// What [`CREATE`] also does if some of the users have an idempotency key: it stores the answers. If one of these
/// keys is stored already, the unique index fails the batch.
static STORE_CREATED: SqlText = SqlText::new(
    "\
), stored AS (
    INSERT INTO idempotency_keys (key, request, stored_at, position, user_id, version, name, email, created_at, updated_at,
        external_id, status, attributes)
    SELECT keyed.key, keyed.request, :now, (SELECT max(id) FROM recorded), created.id, 1, created.name, created.email,
        :now, :now, :created_profile
    FROM created
    JOIN unnest(:keyed_email_keys, :new_keys, :new_requests) AS keyed (email_key, key, request)
        ON keyed.email_key = created.email_key
",
);

/// What [`WRITE`] adds to that, for updates and deletes.
static STORE_CHANGED: SqlText = SqlText::new(
    "\
    UNION ALL
    SELECT keyed.key, keyed.request, found.now, (SELECT max(id) FROM recorded), changed.id, changed.version,
        CASE WHEN NOT found.is_delete THEN changed.name END, CASE WHEN NOT found.is_delete THEN changed.email END,
        CASE WHEN NOT found.is_delete THEN changed.created_at END,
        CASE WHEN NOT found.is_delete THEN changed.updated_at END,
        CASE WHEN NOT found.is_delete THEN changed.external_id END, CASE WHEN NOT found.is_delete THEN changed.status END,
        CASE WHEN NOT found.is_delete THEN changed.attributes END
    FROM changed
    JOIN found ON found.id = changed.id
    JOIN unnest(:keyed_ids, :keys, :requests) AS keyed (id, key, request) ON keyed.id = changed.id
",
);

/// Pushes what a statement has for profiles, if it is `PROFILED`: otherwise new users have none, and others keep theirs.
fn push_profile<'b>(
    parameters: &'b Parameters<'b>,
    is_profiled: bool,
    name: &str,
    out: &mut AstPass<'_, 'b, Pg>,
) -> QueryResult<()> {
    let text = match (name, is_profiled) {
        ("profile_columns", true) => &PROFILE_COLUMNS,
        ("new_profiles", true) => &NEW_PROFILES,
        ("created_profile", true) => &CREATED_PROFILE,
        ("created_profile", false) => &NO_PROFILE,
        ("with_created_profile", true) => &WITH_CREATED_PROFILE,
        ("wanted_profile", true) => &WANTED_PROFILE,
        ("profiles", true) => &PROFILES,
        ("profile_names", true) => &PROFILE_NAMES,
        ("set_profile", true) => &SET_PROFILE,
        ("profile_may_be_set", true) => &PROFILE_MAY_BE_SET,
        (
            "profile_columns"
            | "new_profiles"
            | "wanted_profile"
            | "profiles"
            | "profile_names"
            | "set_profile"
            | "profile_may_be_set"
            | "with_created_profile",
            false,
        ) => return Ok(()),
        _ => return parameters.bind(name, out),
    };
    text.push(out, |name, out| parameters.bind(name, out))
}

static PROFILE_COLUMNS: SqlText = SqlText::new(", external_id, status, attributes");
static NEW_PROFILES: SqlText =
    SqlText::new(", unnest(:new_external_ids), unnest(:new_statuses), unnest(:new_attributes)");
static CREATED_PROFILE: SqlText = SqlText::new("created.external_id, created.status, created.attributes");
static WITH_CREATED_PROFILE: SqlText = SqlText::new(", created.external_id, created.status, created.attributes");
static NO_PROFILE: SqlText = SqlText::new("NULL, NULL, NULL");
static WANTED_PROFILE: SqlText = SqlText::new(", wanted.base, wanted.external_id, wanted.status, wanted.attributes");
static PROFILES: SqlText = SqlText::new(", :bases, :external_ids, :statuses, :attributes");
static PROFILE_NAMES: SqlText = SqlText::new(", base, external_id, status, attributes");
static SET_PROFILE: SqlText = SqlText::new(
    "\
        , external_id = CASE WHEN found.base IS NULL THEN users.external_id ELSE found.external_id END,
        status = CASE WHEN found.base IS NULL THEN users.status ELSE found.status END,
        attributes = CASE WHEN found.base IS NULL THEN users.attributes ELSE found.attributes END",
);
static PROFILE_MAY_BE_SET: SqlText = SqlText::new(
    "\
        AND (found.base IS NULL OR found.base = found.version)
        AND (found.external_id IS NULL OR NOT EXISTS (
            SELECT FROM users AS other WHERE other.external_id = found.external_id AND other.id <> found.id))",
);

/// Creates users. `KEYED`: some have an idempotency key. `PROFILED`: some have a profile. Both are part of the type so that
/// Diesel keeps all texts prepared.
pub(super) struct CreateStatement<'a, const KEYED: bool, const PROFILED: bool>(pub(super) &'a Parameters<'a>);

impl<const KEYED: bool, const PROFILED: bool> QueryFragment<Pg> for CreateStatement<'_, KEYED, PROFILED> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        CREATE.push(&mut out, |name, out| match name {
            "stored" if KEYED => STORE_CREATED.push(out, |name, out| push_profile(self.0, PROFILED, name, out)),
            "stored" => Ok(()),
            name => push_profile(self.0, PROFILED, name, out),
        })
    }
}

impl<const KEYED: bool, const PROFILED: bool> QueryId for CreateStatement<'_, KEYED, PROFILED> {
    type QueryId = CreateStatement<'static, KEYED, PROFILED>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const KEYED: bool, const PROFILED: bool> Query for CreateStatement<'_, KEYED, PROFILED> {
    type SqlType = (Text, BigInt, Nullable<BigInt>);
}

impl<const KEYED: bool, const PROFILED: bool> RunQueryDsl<PgConnection> for CreateStatement<'_, KEYED, PROFILED> {}

/// Creates, updates and deletes users. `SKIPS`: locked users are skipped. `KEYED`: some writes have an idempotency key.
/// `PROFILED`: some give a user a profile, or change one.
pub(super) struct WriteStatement<'a, const SKIPS: bool, const KEYED: bool, const PROFILED: bool>(
    pub(super) &'a Parameters<'a>,
);

impl<const SKIPS: bool, const KEYED: bool, const PROFILED: bool> QueryFragment<Pg>
    for WriteStatement<'_, SKIPS, KEYED, PROFILED>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        WRITE.push(&mut out, |name, out| match name {
            "skip_locked" => {
                out.push_sql(if SKIPS { "SKIP LOCKED" } else { "" });
                Ok(())
            }
            "stored" if KEYED => {
                STORE_CREATED.push(out, |name, out| push_profile(self.0, PROFILED, name, out))?;
                STORE_CHANGED.push(out, |name, out| self.0.bind(name, out))
            }
            "stored" => Ok(()),
            name => push_profile(self.0, PROFILED, name, out),
        })
    }
}

impl<const SKIPS: bool, const KEYED: bool, const PROFILED: bool> QueryId
    for WriteStatement<'_, SKIPS, KEYED, PROFILED>
{
    type QueryId = WriteStatement<'static, SKIPS, KEYED, PROFILED>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const SKIPS: bool, const KEYED: bool, const PROFILED: bool> Query for WriteStatement<'_, SKIPS, KEYED, PROFILED> {
    type SqlType = (BigInt, Nullable<Text>, Nullable<BigInt>, Nullable<BigInt>, MaybeUserColumns);
}

impl<const SKIPS: bool, const KEYED: bool, const PROFILED: bool> RunQueryDsl<PgConnection>
    for WriteStatement<'_, SKIPS, KEYED, PROFILED>
{
}

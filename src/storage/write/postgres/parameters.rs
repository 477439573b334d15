//! The parameters of the statements: one array per column.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamp as SqlTimestamp};

use super::new_profiles::NewProfiles;
use crate::domain::{Once, Profile, UserId, Version};
use crate::storage::database::connection::locks::LockPolicy;
use crate::storage::database::schema::profile_columns::columns;
use crate::storage::database::schema::timestamp_column::TimestampColumn;
use crate::storage::event_log::record::Stamp;
use crate::storage::write::request::plan::{Plan, Planned};
use crate::storage::write::request::{Create, Delete, Update};
use crate::telemetry::TracedSpan;

/// The values of a statement's parameters.
pub(super) struct Parameters<'a> {
    new: NewUsers<'a>,
    changes: Changes<'a>,
    keyed: Keyed<'a>,
    stamp: Stamp,
    now: TimestampColumn,
    lock_timeout: String,
}

/// The columns of the users to create, and of the traced ones among them.
struct NewUsers<'a> {
    names: Vec<&'a str>,
    name_keys: Vec<&'a str>,
    emails: Vec<&'a str>,
    email_keys: Vec<&'a str>,
    address_keys: Vec<Option<&'a str>>,
    traced_email_keys: Vec<&'a str>,
    traced_parents: Vec<String>,
    profiles: ProfileArrays<'a>,
}

/// The columns of profiles. Empty, and so without cost, if no write has one.
#[derive(Default)]
struct ProfileArrays<'a> {
    external_ids: Vec<Option<&'a str>>,
    statuses: Vec<Option<i16>>,
    attributes: Vec<Option<&'a str>>,
}

/// The columns of updates and deletes.
struct Changes<'a> {
    /// At least [`EXPECTED`]; the additional ones are NULL.
    ids: Vec<Option<i64>>,
    expected: Vec<Option<i64>>,
    are_deletes: Vec<bool>,
    names: Vec<Option<&'a str>>,
    name_keys: Vec<Option<&'a str>>,
    emails: Vec<Option<&'a str>>,
    email_keys: Vec<Option<&'a str>>,
    address_keys: Vec<Option<&'a str>>,
    trace_parents: Vec<Option<String>>,
    /// The versions from which the new profiles were made, of the users whose profile changes.
    bases: Vec<Option<i64>>,
    profiles: ProfileArrays<'a>,
}

impl<'a> Parameters<'a> {
    pub(super) fn new(plan: &Plan<'a>, profiles: &'a NewProfiles, stamp: Stamp, locks: LockPolicy) -> Self {
        Self {
            new: NewUsers::new(&plan.creates),
            changes: Changes::new(&plan.updates, &plan.deletes, profiles),
            keyed: Keyed::new(plan),
            stamp,
            now: TimestampColumn(stamp.now),
            lock_timeout: format!("{}ms", locks.timeout.as_millis()),
        }
    }

    /// Pushes the parameter of this name.
    pub(super) fn bind<'b>(&'b self, name: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self { new, changes, keyed, stamp, now, lock_timeout } = self;
        match name {
            "new_names" => out.push_bind_param::<Array<Text>, _>(&new.names),
            "new_name_keys" => out.push_bind_param::<Array<Text>, _>(&new.name_keys),
            "new_emails" => out.push_bind_param::<Array<Text>, _>(&new.emails),
            "new_email_keys" => out.push_bind_param::<Array<Text>, _>(&new.email_keys),
            "new_address_keys" => out.push_bind_param::<Array<Nullable<Text>>, _>(&new.address_keys),
            "traced_email_keys" => out.push_bind_param::<Array<Text>, _>(&new.traced_email_keys),
            "traced_parents" => out.push_bind_param::<Array<Text>, _>(&new.traced_parents),
            "new_external_ids" => out.push_bind_param::<Array<Nullable<Text>>, _>(&new.profiles.external_ids),
            "new_statuses" => out.push_bind_param::<Array<Nullable<SmallInt>>, _>(&new.profiles.statuses),
            "new_attributes" => out.push_bind_param::<Array<Nullable<Text>>, _>(&new.profiles.attributes),
            "ids" => out.push_bind_param::<Array<Nullable<BigInt>>, _>(&changes.ids),
            "expected" => out.push_bind_param::<Array<Nullable<BigInt>>, _>(&changes.expected),
            "are_deletes" => out.push_bind_param::<Array<Bool>, _>(&changes.are_deletes),
            "names" => out.push_bind_param::<Array<Nullable<Text>>, _>(&changes.names),
            "name_keys" => out.push_bind_param::<Array<Nullable<Text>>, _>(&changes.name_keys),
            "emails" => out.push_bind_param::<Array<Nullable<Text>>, _>(&changes.emails),
            "email_keys" => out.push_bind_param::<Array<Nullable<Text>>, _>(&changes.email_keys),
            "address_keys" => out.push_bind_param::<Array<Nullable<Text>>, _>(&changes.address_keys),
            "trace_parents" => out.push_bind_param::<Array<Nullable<Text>>, _>(&changes.trace_parents),
            "bases" => out.push_bind_param::<Array<Nullable<BigInt>>, _>(&changes.bases),
            "external_ids" => out.push_bind_param::<Array<Nullable<Text>>, _>(&changes.profiles.external_ids),
            "statuses" => out.push_bind_param::<Array<Nullable<SmallInt>>, _>(&changes.profiles.statuses),
            "attributes" => out.push_bind_param::<Array<Nullable<Text>>, _>(&changes.profiles.attributes),
            "keyed_email_keys" => out.push_bind_param::<Array<Text>, _>(&keyed.email_keys),
            "new_keys" => out.push_bind_param::<Array<Binary>, _>(&keyed.creates.ids),
            "new_requests" => out.push_bind_param::<Array<Binary>, _>(&keyed.creates.requests),
            "keyed_ids" => out.push_bind_param::<Array<BigInt>, _>(&keyed.user_ids),
            "keys" => out.push_bind_param::<Array<Binary>, _>(&keyed.changes.ids),
            "requests" => out.push_bind_param::<Array<Binary>, _>(&keyed.changes.requests),
            "now" => out.push_bind_param::<SqlTimestamp, _>(now),
            "salt" => out.push_bind_param::<BigInt, _>(&stamp.salt),
            "lock_timeout" => out.push_bind_param::<Text, _>(lock_timeout),
            unknown => Err(DieselError::QueryBuilderError(format!("no value for :{unknown}").into())),
        }
    }
}

impl<'a> NewUsers<'a> {
    fn new(creates: &[Planned<'a, Create>]) -> Self {
        let column = |of: fn(&'a Create) -> &'a str| creates.iter().map(|(_, create)| of(create)).collect();
        let traced = creates.iter().filter_map(|(_, create)| Some((create.email_key().legacy(), create.trace()?)));
        let (traced_email_keys, traced_parents) = traced.map(|(key, trace)| (key, trace.to_string())).unzip();
        Self {
            names: column(Create::name),
            name_keys: column(Create::name_key),
            emails: column(Create::email),
            email_keys: column(|create| create.email_key().legacy()),
            address_keys: creates.iter().map(|(_, create)| create.email_key().address_key()).collect(),
            traced_email_keys,
            traced_parents,
            profiles: ProfileArrays::new(creates.iter().map(|(_, create)| create.profile())),
        }
    }
}

impl<'a> ProfileArrays<'a> {
    fn new(profiles: impl Iterator<Item = Option<&'a Profile>> + Clone) -> Self {
        let mut arrays = Self::default();
        if profiles.clone().any(|profile| profile.is_some()) {
            for (external_id, status, attributes) in profiles.map(columns) {
                arrays.external_ids.push(external_id);
                arrays.statuses.push(status);
                arrays.attributes.push(attributes);
            }
        }
        arrays
    }
}

/// The number of rows that PostgreSQL assumes for an array it does not know yet. With fewer rows it expects a plan for
/// these values to be cheaper than the generic plan, and makes one for every statement, which takes longer than to
/// change a user.
const EXPECTED: usize = 10;

type Change<'a> = (UserId, Option<Version>, Option<TracedSpan>, Option<&'a Update>);

impl<'a> Changes<'a> {
    fn new(updates: &[Planned<'a, Update>], deletes: &[Planned<'a, Delete>], profiles: &'a NewProfiles) -> Self {
        let updates = updates.iter().map(|(_, update)| (update.id, update.expected, update.trace, Some(*update)));
        let deletes = deletes.iter().map(|(_, delete)| (delete.id, delete.expected, delete.trace, None));
        let rows: Vec<Change<'a>> = updates.chain(deletes).collect();
        let mut ids = Vec::from_iter(rows.iter().map(|(id, ..)| Some(id.get())));
        let new_profile = |(id, ..): &Change<'a>| profiles.of(*id);
        let bases = Vec::from_iter(rows.iter().map(|row| new_profile(row).map(|new| new.base.0)));
        // No user has the id NULL. `unnest` fills up the other columns, which are shorter.
        ids.resize(ids.len().max(EXPECTED), None);
        let texts =
            |of: fn(&'a Update) -> Option<&'a str>| rows.iter().map(|(.., update)| update.and_then(of)).collect();
        Self {
            ids,
            expected: rows.iter().map(|(_, expected, ..)| expected.map(|version| version.0)).collect(),
            are_deletes: rows.iter().map(|(.., update)| update.is_none()).collect(),
            names: texts(Update::name),
            name_keys: texts(Update::name_key),
            emails: texts(Update::email),
            email_keys: texts(Update::email_key),
            address_keys: texts(Update::address_key),
            trace_parents: rows.iter().map(|(_, _, trace, _)| trace.map(|trace| trace.to_string())).collect(),
            profiles: ProfileArrays::new(rows.iter().map(|row| new_profile(row)?.profile.as_deref())),
            bases,
        }
    }
}

/// The columns of the writes that carry idempotency keys. Empty, and so without cost, if none does.
#[derive(Default)]
struct Keyed<'a> {
    email_keys: Vec<&'a str>,
    creates: KeyColumns<'a>,
    user_ids: Vec<i64>,
    changes: KeyColumns<'a>,
}

#[derive(Default)]
struct KeyColumns<'a> {
    ids: Vec<&'a [u8]>,
    requests: Vec<&'a [u8]>,
}

impl<'a> Keyed<'a> {
    fn new(plan: &Plan<'a>) -> Self {
        let mut keyed = Self::default();
        for (create, once) in plan.creates.iter().filter_map(|(_, create)| Some((create, create.once()?))) {
            keyed.email_keys.push(create.email_key().legacy());
            keyed.creates.push(once);
        }
        let updates = plan.updates.iter().map(|(_, update)| (update.id, update.once.as_ref()));
        let deletes = plan.deletes.iter().map(|(_, delete)| (delete.id, delete.once.as_ref()));
        for (id, once) in updates.chain(deletes).filter_map(|(id, once)| Some((id, once?))) {
            keyed.user_ids.push(id.get());
            keyed.changes.push(once);
        }
        keyed
    }
}

impl<'a> KeyColumns<'a> {
    fn push(&mut self, once: &'a Once) {
        self.ids.push(once.id());
        self.requests.push(once.fingerprint());
    }
}

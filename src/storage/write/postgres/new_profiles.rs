//! The profiles that updates leave.
//!
//! A merge patch (RFC 7396) is no SQL, so the service makes the new profile from the one that is stored. Only batches
//! that change profiles pay for the round trip which reads these. The statement checks that the user has not changed
//! meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::pg::PgConnection;
use diesel::prelude::*;

use crate::domain::{Error, Profile, UserId, Version};
use crate::storage::database::schema::profile_columns::{ProfileColumns, profile};
use crate::storage::database::schema::tables::users;
use crate::storage::write::request::Update;
use crate::storage::write::request::plan::{Plan, Planned};

/// What a statement needs beside its plan.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) profiles: NewProfiles,
    /// Updates that are refused, by their indexes in the batch. They have left the plan.
    pub(super) refused: Vec<Refused>,
}

type Refused = (usize, Error);

/// The new profiles of users, by their ids.
#[derive(Default)]
pub(super) struct NewProfiles(HashMap<i64, NewProfile>);

pub(super) struct NewProfile {
    /// The version of the user from which it was made.
    pub(super) base: Version,
    pub(super) profile: Option<Arc<Profile>>,
}

/// The version and the profile of a user.
type Stored = (Version, Option<Arc<Profile>>);

impl Prepared {
    /// Makes the new profiles of a plan.
    pub(super) fn new(postgres: &mut PgConnection, plan: &mut Plan<'_>) -> QueryResult<Self> {
        let ids = plan.updates.iter().filter(|(_, update)| update.profile_change().is_some());
        let ids = Vec::from_iter(ids.map(|(_, update)| update.id.get()));
        let Some(last) = ids.last().copied() else { return Ok(Self::default()) };
        let stored = read(postgres, ids, last)?;
        let (mut profiles, mut refused) = (NewProfiles::default(), Vec::new());
        plan.updates.retain(|planned| profiles.add(planned, &stored).map_err(|error| refused.push(error)).is_ok());
        Ok(Self { profiles, refused })
    }
}

fn read(postgres: &mut PgConnection, mut ids: Vec<i64>, filler: i64) -> QueryResult<HashMap<i64, Stored>> {
    /// PostgreSQL would plan a statement with fewer ids anew each time: see `storage::read::get_on_postgres`.
    const EXPECTED: usize = 10;
    ids.resize(ids.len().max(EXPECTED), filler);
    let columns = (users::id, users::version, (users::external_id, users::status, users::attributes));
    let rows: Vec<(i64, i64, ProfileColumns)> =
        users::table.filter(users::id.eq_any(ids)).select(columns).load(postgres)?;
    Ok(rows.into_iter().map(|(id, version, columns)| (id, (Version(version), profile(columns)))).collect())
}

impl NewProfiles {
    /// The new profile of a user, if it changes.
    pub(super) fn of(&self, id: UserId) -> Option<&NewProfile> {
        self.0.get(&id.get())
    }

    fn add(&mut self, &(at, update): &Planned<'_, Update>, stored: &HashMap<i64, Stored>) -> Result<(), Refused> {
        let Some(change) = update.profile_change() else { return Ok(()) };
        let (base, profile) = stored.get(&update.id.get()).ok_or((at, Error::NotFound))?;
        if update.expected.is_some_and(|expected| expected != *base) {
            return Err((at, Error::VersionMismatch));
        }
        let profile = change.apply(profile.as_deref()).map_err(|error| (at, error))?;
        self.0.insert(update.id.get(), NewProfile { base: *base, profile });
        Ok(())
    }
}

//! The profiles that updates leave.
//!
//! A merge patch (RFC 7396) is no SQL, so the service makes the new profile from the one that is stored. Only batches
//! that change profiles pay for the round trip which reads these. The statement checks that the user has not changed
//! meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::pg::PgConnection;
use diesel::prelude::*;

use crate::domain::{Error, Profile, User, UserId, Version};
use crate::storage::database::schema::tables::users;
use crate::storage::database::schema::user_row::UserRow;
use crate::storage::write::request::Update;
use crate::storage::write::request::plan::{Plan, Planned};

/// The new profiles of users, by their ids.
#[derive(Default)]
pub(super) struct NewProfiles(HashMap<i64, NewProfile>);

pub(super) struct NewProfile {
    /// The version of the user from which it was made.
    pub(super) base: Version,
    pub(super) profile: Option<Arc<Profile>>,
}

/// An update that is refused, by its index in the batch.
pub(super) type Refused = (usize, Error);

impl NewProfiles {
    /// Makes the new profiles of a plan. Updates that cannot be made leave the plan.
    pub(super) fn make(postgres: &mut PgConnection, plan: &mut Plan<'_>) -> QueryResult<(Self, Vec<Refused>)> {
        let ids = plan.updates.iter().filter(|(_, update)| update.profile_change().is_some());
        let ids = Vec::from_iter(ids.map(|(_, update)| update.id.get()));
        let (mut made, mut refused) = (Self::default(), Vec::new());
        if ids.is_empty() {
            return Ok((made, refused));
        }
        let found: Vec<UserRow> =
            users::table.filter(users::id.eq_any(ids)).select(UserRow::as_select()).load(postgres)?;
        let found = HashMap::<i64, User>::from_iter(found.into_iter().map(|row| (row.id, User::from(row))));
        plan.updates.retain(|planned| made.add(planned, &found).map_err(|error| refused.push(error)).is_ok());
        Ok((made, refused))
    }

    /// The new profile of a user, if it changes.
    pub(super) fn of(&self, id: UserId) -> Option<&NewProfile> {
        self.0.get(&id.get())
    }

    fn add(&mut self, &(at, update): &Planned<'_, Update>, found: &HashMap<i64, User>) -> Result<(), Refused> {
        let Some(change) = update.profile_change() else { return Ok(()) };
        let user = found.get(&update.id.get()).ok_or((at, Error::NotFound))?;
        if update.expected.is_some_and(|expected| expected != user.version) {
            return Err((at, Error::VersionMismatch));
        }
        let profile = change.apply(user.profile.as_deref()).map_err(|fields| (at, Error::Invalid(fields)))?;
        self.0.insert(update.id.get(), NewProfile { base: user.version, profile });
        Ok(())
    }
}

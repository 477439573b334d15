//! The table, and the rows that are read and written.

use chrono::{NaiveDateTime, SecondsFormat, Utc};
use diesel::prelude::*;
use serde::{Serialize, Serializer};
use user_service::domain::NewUser;

diesel::table! {
    users (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
        email -> Text,
        email_key -> Text,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        has_keys -> Bool,
    }
}

/// A user as version 1 shows it.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = users)]
pub(super) struct User {
    pub(super) id: i64,
    name: String,
    email: String,
}

/// A user as version 2 shows it.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = users)]
pub(super) struct VersionedUser {
    pub(super) id: i64,
    name: String,
    email: String,
    pub(super) version: i64,
    #[serde(serialize_with = "rfc_3339")]
    created_at: NaiveDateTime,
    #[serde(serialize_with = "rfc_3339")]
    updated_at: NaiveDateTime,
}

fn rfc_3339<S: Serializer>(moment: &NaiveDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&moment.and_utc().to_rfc3339_opts(SecondsFormat::Micros, true))
}

// Otherwise Diesel would prepare the statement again for each row, which is one more round trip on PostgreSQL.
#[derive(Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub(super) struct NewRow {
    name: String,
    name_key: String,
    email: String,
    email_key: String,
    has_keys: bool,
    version: i64,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl From<NewUser> for NewRow {
    fn from(new: NewUser) -> Self {
        let now = Utc::now().naive_utc();
        Self {
            name_key: new.name.key().into_string(),
            name: new.name.into_string(),
            email_key: new.email.key().legacy().to_owned(),
            email: new.email.into_string(),
            has_keys: true,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

//! The tables, how a user is stored in them, and the migrations that create them.

pub(crate) mod log_end;
pub(crate) mod migrations;
pub(crate) mod profile_columns;
pub(crate) mod stored_answer;
pub(crate) mod tables;
pub(crate) mod timestamp_column;
pub(crate) mod user_row;

/// Which columns of users this release knows; each event says which its writer knew (`events.known_columns`). It rises by one
/// when users get a column. The statements contain the same number.
pub(crate) const EVENT_COLUMNS: i16 = 2;

/// The index that makes idempotency keys unique.
pub(crate) const KEY_INDEX: &str = "idempotency_keys_key";

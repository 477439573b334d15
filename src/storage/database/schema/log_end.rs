//! The end of the log of events: the highest offset at which one was recorded.

use diesel::dsl::auto_type;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::tables::{event_log, events};

/// The end of the log as of a statement's snapshot, as a column beside any others. It is the offset up to which events are
/// pruned, if none is left beyond that: held events stay where they are.
#[auto_type(no_type_alias)]
pub(crate) fn log_end() -> _ {
    let beyond = events::table.filter(events::id.nullable().gt(pruned_to()));
    coalesce(beyond.order(events::id.desc()).select(events::id).single_value(), pruned_to())
}

#[auto_type]
fn pruned_to() -> _ {
    event_log::table.order(event_log::id).select(event_log::pruned_to).single_value()
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// The first of two values that is there.
    fn coalesce(first: Nullable<BigInt>, second: Nullable<BigInt>) -> BigInt;
}

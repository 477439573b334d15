/// The members of an NDJSON line and the columns of a CSV file, in their order.
pub(in crate::transfer) const FIELDS: [&str; 9] =
    ["id", "name", "email", "version", "created_at", "updated_at", "external_id", "status", "attributes"];

/// How many of them a file has if an earlier release has exported it.
pub(in crate::transfer) const EXPORTED_EARLIER: usize = 6;

/// What an NDJSON file's last line has as its only member, and a CSV file's last record in the place of an id.
pub(in crate::transfer) const END: &str = "end";

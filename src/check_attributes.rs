//! The `check-attributes` command: which stored users the schema for attributes would not let in.

use crate::domain::User;
use crate::output::print_line;
use crate::storage::{self, Settings};

/// How many users are named.
const MAX_NAMED: usize = 20;

/// Why the check has failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("ATTRIBUTES_SCHEMA is not set")]
    NoSchema,
    #[error(transparent)]
    Read(#[from] storage::ExportError),
    #[error("the attributes of {0} users are not what the schema allows")]
    Violated(u64),
}

/// Checks the attributes of all users, as they are at one moment. Names some users that the schema would not let in, and
/// what is wrong with each, by its place: attributes may be personal data.
///
/// # Errors
/// When there is no schema, the database cannot be reached, or a user has other attributes than the schema allows.
pub fn check_attributes(settings: &Settings) -> Result<(), CheckError> {
    let schema = settings.attributes_schema.as_ref().ok_or(CheckError::NoSchema)?.current();
    let (mut users, mut violated) = (0_u64, 0_u64);
    let mut check = |user: &User| {
        users += 1;
        let Err(violations) = schema.check(user.attributes()) else { return };
        violated += 1;
        if violated <= MAX_NAMED as u64 {
            let places = Vec::from_iter(violations.iter().map(|violation| violation.pointer.as_str()));
            print_line(format_args!("user {}: {}", user.id, places.join(", ")));
        }
    };
    storage::export(
        settings,
        |_| {},
        |page| {
            page.iter().for_each(&mut check);
            Ok(())
        },
    )?;
    print_line(format_args!("{users} users, {violated} of them with other attributes than the schema allows"));
    if violated == 0 { Ok(()) } else { Err(CheckError::Violated(violated)) }
}

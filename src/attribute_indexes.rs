//! The commands that make and drop indexes of attributes.

use std::collections::BTreeMap;

use crate::domain::AttributeName;
use crate::output::print_line;
use crate::storage::{self, IndexError, Settings};

/// Makes the indexes that `ATTRIBUTES_INDEXED` names, and says how far they are.
///
/// # Errors
/// When the database cannot be reached, or refuses.
pub fn index_attributes(settings: &Settings) -> Result<(), IndexError> {
    let mut shown = BTreeMap::new();
    storage::index_attributes(settings, |name, progress| {
        if shown.insert(name.clone(), progress) != Some(progress) {
            print_line(format_args!("{name}: {} %", progress.percent()));
        }
    })
}

/// Drops the index of an attribute that `ATTRIBUTES_INDEXED` does not name any more.
///
/// # Errors
/// When it still does, there is no such index, or the database refuses.
pub fn drop_attribute_index(settings: &Settings, name: &AttributeName) -> Result<(), IndexError> {
    storage::drop_attribute_index(settings, name)?;
    print_line(format_args!("the index of the attribute {name} is gone"));
    Ok(())
}

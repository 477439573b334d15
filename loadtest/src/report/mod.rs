//! A page without outside assets, for somebody who has neither the program nor a network.

mod charts;
mod facts;
mod html;
mod of_comparison;
mod of_run;
mod timing;

use std::path::Path;

pub(crate) use of_comparison::{comparison_as_text, of_comparison};
pub(crate) use of_run::of_run;

pub(crate) fn write(path: &Path, page: &str) -> Result<(), String> {
    std::fs::write(path, page).map_err(|error| format!("{}: {error}", path.display()))
}

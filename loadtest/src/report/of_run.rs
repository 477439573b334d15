//! The page of one run.

use super::html::Page;
use super::{charts, facts, timing};
use crate::results::Run;

pub(crate) fn of_run(run: &Run) -> String {
    let above = [facts::heading_of_run(run), facts::tiles(run)].concat();
    let below =
        [facts::operations(run), timing::section(&run.recording.samples), facts::answers(run), facts::conditions(run)];
    Page { title: facts::title(run), above, below: below.concat(), charts: charts::of_run(run) }.html()
}

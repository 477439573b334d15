//! Logs failed batches, with the ids of their requests.

use super::message::Message;
use super::request::Request;
use crate::telemetry::Throttle;

/// How many requests one line names.
const MAX_NAMED: usize = 10;

/// The log of failures of one lane. Clones share the limit of lines.
#[derive(Clone, Default)]
pub(super) struct FailureLog(Throttle);

impl FailureLog {
    /// Logs a failure. The line of a single message belongs to its request; a line about several names their requests.
    pub(super) fn log<R: Request>(&self, batch: &[Message<R>], failure: &str) {
        let Some(more) = self.0.admit() else { return };
        match batch {
            [Message { context: Some(context), .. }] => context.run(|| log::warn!("{failure}{more}")),
            batch => log::warn!("{failure}; requests {}{more}", request_ids(batch)),
        }
    }
}

fn request_ids<R: Request>(batch: &[Message<R>]) -> String {
    let ids = batch.iter().filter_map(|message| Some(message.context?.request_id.to_string()));
    let more = if batch.len() > MAX_NAMED { ", ..." } else { "" };
    ids.take(MAX_NAMED).collect::<Vec<_>>().join(", ") + more
}

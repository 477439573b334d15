//! Keeps the number of users up to date on PostgreSQL, for lists that count all of them (`database::user_count`).

use std::time::{Duration, Instant};

use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::final_place::Waiting;
use crate::storage::database::user_count::{self, Beyond};

/// From so many events beyond the stored count on it is brought up to date.
const MANY: i64 = 1_000;
/// How long to wait after all users were counted. Somebody who changes them without events could have it done over and over.
const RECOUNT_PAUSE: Duration = Duration::from_mins(1);

/// Waits for transactions to end.
#[derive(Default)]
pub(super) struct CountWatch {
    waiting: Waiting,
    counted_at: Option<Instant>,
}

impl CountWatch {
    /// Waits for a moment, if the stored count is out of date, and goes on in the next check.
    pub(super) fn check(&mut self, postgres: &mut PgConnection) -> QueryResult<()> {
        let beyond = user_count::beyond(postgres, MANY)?;
        let is_due = match beyond {
            Beyond::Events(count) => count >= MANY,
            Beyond::Unknown => self.counted_at.is_none_or(|at| at.elapsed() >= RECOUNT_PAUSE),
        };
        if !is_due {
            self.waiting.stop();
            return Ok(());
        }
        let Some(place) = self.waiting.wait(postgres)? else { return Ok(()) };
        if matches!(beyond, Beyond::Events(_)) {
            return user_count::advance(postgres, place.position);
        }
        self.counted_at = Some(Instant::now());
        user_count::count_anew(postgres, place.position)
    }
}

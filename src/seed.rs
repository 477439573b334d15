//! The `seed` command: made-up users, the same ones every time.

use std::io::IsTerminal as _;
use std::num::NonZeroU64;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::domain::{Email, NewUser, UserName};
use crate::output::print_line;
use crate::storage::{self, SeedError, Settings};

const FIRST_NAMES: &str = "Ada Alan Barbara Bjarne Claude Clara Dennis Dorothy Edsger Élodie Frances Fred Grace Guido Hedy \
    Haruki Ines Ivan Jean John Katherine Ken Leslie Linus Margaret Mary Niklaus Noor Olga Øyvind Peter Priya Radia Robin Shafi \
    Sophie Tim Ursula Wei Zoë";

const LAST_NAMES: &str = "Allen Babbage Bell Berners-Lee Böhm Brooks Carmack Chen Codd Cray Dijkstra Engelbart Farah Feinler \
    García Goldwasser Hamilton Hamming Hoare Hopper Ito Jensen Johnson Kay Kernighan Knuth Kowalski Lamarr Lamport Liskov \
    Lovelace McCarthy Moore Müller Naur Nguyen O'Neil Perlman Pike Rajan Ritchie Shannon Silva Steele Thompson Torvalds Turing \
    Wilson Wirth Wozniak";

/// Combines every first name with every last name.
struct MadeUp {
    names: Vec<(&'static str, &'static str)>,
}

impl MadeUp {
    fn new() -> Self {
        let with_last = |last| FIRST_NAMES.split_whitespace().map(move |first| (first, last));
        Self { names: LAST_NAMES.split_whitespace().flat_map(with_last).collect() }
    }

    /// The user with this number.
    fn user(&self, number: u64) -> NewUser {
        let index = usize::try_from(number).unwrap_or_default() % self.names.len();
        let (first, last) = self.names.get(index).copied().unwrap_or_default();
        let mailbox = format!("{first}.{last}").replace('\'', "");
        NewUser {
            name: UserName::stored(format!("{first} {last}")),
            email: Email::stored(format!("{mailbox}.{number}@example.com")),
            profile: None,
        }
    }
}

/// Fills the database with the users 1 to `count`. Shows a progress bar on a terminal, and plain lines elsewhere.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub fn seed(settings: &Settings, count: NonZeroU64) -> Result<(), SeedError> {
    let start = Instant::now();
    let made_up = MadeUp::new();
    let user = |number| made_up.user(number);
    let created = if std::io::stdout().is_terminal() {
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} users, {per_sec}, {eta} left");
        let bar = ProgressBar::new(count.get()).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let created = storage::seed(settings, count, user, |done| bar.set_position(done));
        bar.finish_and_clear();
        created?
    } else {
        let mut tenths = 0;
        storage::seed(settings, count, user, |done| {
            let now = done.saturating_mul(10) / count;
            if now > tenths {
                tenths = now;
                print_line(format_args!("{done} of {count} users"));
            }
        })?
    };
    let existing = count.get() - created;
    let seconds = start.elapsed().as_secs_f64();
    print_line(format_args!("created {created} users in {seconds:.1} s; {existing} were there already"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RawProfile;

    #[test]
    fn every_made_up_user_would_be_accepted() {
        let made_up = MadeUp::new();
        for number in 1..=5_000 {
            let NewUser { name, email, .. } = made_up.user(number);
            assert!(NewUser::parse(name.into_string(), email.into_string(), RawProfile::default()).is_ok(), "{number}");
        }
    }
}

use std::path::Path;

use clap::Parser;

use crate::point::{Phase, Point};
use crate::survey::Survey;

/// Cuts the write path on SQLite at one system call after the other, and looks at what is left.
#[derive(Parser)]
pub struct Arguments {
    /// Repeats the clients' steps, and the choice of points.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// About how many points to choose in all.
    #[arg(long, default_value_t = 320)]
    pub points: usize,
    /// Only these points, separated by commas: a point is written as in changes/wal/pwrite64/kill/7, and a beginning of it, such
    /// as changes/wal, stands for all that are chosen of those. Phases: create, upgrade, changes, pruning. Files: db, wal, shm,
    /// journal, folder. Faults: kill, power-cut, eio, enospc, eio-lasting, enospc-lasting.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
}

impl Arguments {
    /// The phases that any point is wanted of.
    pub fn phases(&self) -> Vec<Phase> {
        let is_named = |phase: &Phase| self.only.iter().any(|name| name.split('/').next() == Some(phase.name()));
        let phases = Phase::ALL.into_iter().filter(|phase| self.only.is_empty() || is_named(phase));
        Vec::from_iter(phases)
    }

    /// The points of a phase: those that are named, or else of all those that are chosen by a survey.
    pub fn points_of(&self, phase: Phase, survey: impl FnOnce() -> Survey) -> Vec<Point> {
        let (named, beginnings): (Vec<_>, Vec<_>) = self.only.iter().partition(|name| name.split('/').count() == 5);
        let named = named.iter().map(|name| name.parse::<Point>().unwrap_or_else(|error| panic!("{error}")));
        let mut points = Vec::from_iter(named.filter(|point| point.phase == phase));
        if self.only.is_empty() || beginnings.iter().any(|name| name.split('/').next() == Some(phase.name())) {
            let survey = survey();
            println!("{}", survey.text());
            let chosen = survey.choose(self.points * share(phase) / 100, self.seed);
            let is_wanted =
                |point: &Point| beginnings.iter().any(|name| format!("{point}/").starts_with(&format!("{name}/")));
            points.extend(chosen.into_iter().filter(|point| self.only.is_empty() || is_wanted(point)));
        }
        points
    }

    /// Where the evidence of a failure goes.
    pub fn folder() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/crash-points"))
    }
}

/// How many of a hundred points fall to a phase.
fn share(phase: Phase) -> usize {
    match phase {
        Phase::Create => 25,
        Phase::Upgrade => 20,
        Phase::Changes => 40,
        Phase::Pruning => 15,
    }
}

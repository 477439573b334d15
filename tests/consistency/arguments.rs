use std::path::Path;
use std::time::Duration;

use clap::Parser;

use crate::world::Kind;

/// The time of the short run: its worlds run side by side.
const SHORT: Duration = Duration::from_secs(40);

/// Runs clients and faults against the real program, and has the checker judge what they saw.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Arguments {
    /// How long to run in all, divided among the worlds. Without it, the short run: two worlds, kill and freeze only.
    #[arg(long)]
    pub minutes: Option<f64>,
    /// Repeats the same plan of operations and faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only these worlds, separated by commas: sqlite, postgres, replicas-2, replicas-3, failover-hosts,
    /// failover-address, and patroni, which runs only when it is named here.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only these faults, separated by commas; `none` is none. `operator` stands for one who changes users by SQL.
    #[arg(long, value_delimiter = ',')]
    pub faults: Vec<String>,
    /// Stop a world at its first violation.
    #[arg(long)]
    pub until_convicted: bool,
    /// Write every round's history, not only those that are convicted.
    #[arg(long)]
    pub keep: bool,
    /// What `cargo test` passes on to select tests by their names; this one is called `consistency`.
    filters: Vec<String>,
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, short, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, hide = true)]
    test_threads: Option<usize>,
    #[arg(long, hide = true)]
    skip: Vec<String>,
}

impl Arguments {
    pub fn worlds(&self) -> Vec<Kind> {
        if !self.is_selected() {
            return Vec::new();
        }
        let all = if self.is_short() { &Kind::SHORT[..] } else { &Kind::ALL[..] };
        for name in &self.only {
            assert!(Kind::ALL.iter().any(|kind| kind.name() == name), "there is no world {name}");
        }
        let is_named = |kind: &Kind| self.only.iter().any(|name| name == kind.name());
        let is_wanted = |kind: &&Kind| if self.only.is_empty() { kind.is_usual() } else { is_named(kind) };
        all.iter().filter(is_wanted).copied().collect()
    }

    /// Whether this is the short run, which `cargo test` makes.
    pub fn is_short(&self) -> bool {
        self.minutes.is_none() && self.only.is_empty()
    }

    /// How long one world runs.
    pub fn time(&self) -> Duration {
        let worlds = f64::from(u32::try_from(self.worlds().len().max(1)).expect("few worlds"));
        self.minutes.map_or(SHORT, |minutes| Duration::from_secs_f64(minutes * 60.0 / worlds))
    }

    /// Where the evidence of a violation goes.
    pub fn folder() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/consistency"))
    }

    fn is_selected(&self) -> bool {
        let names = |filter: &String| "consistency".contains(filter.as_str());
        !self.list
            && !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(names))
            && !self.skip.iter().any(names)
    }
}
